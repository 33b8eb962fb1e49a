"""Where packets go: from the host to its containers, and from a container to everything else."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, neighbours, other_end, output, routes
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

_BRIDGE = "docker0"


@pytest.mark.fact("docker0.route")
@pytest.mark.shared
def test_host_has_a_connected_route_to_docker0s_subnet(host: Host, act: Act, claim: Claim) -> None:
    """The host reaches docker0's subnet by a route through docker0, without a next hop, from docker0's address."""
    web = host.container("web")
    port = listen(web.vantage).port

    with act:
        (docker0,) = interface(host.vantage, _BRIDGE).ipv4
        through = [route for route in routes(host.vantage) if route.device == _BRIDGE]
        (answer,) = ask(tcp(host.vantage, web.address, port))
        claim.show("ip route, on the host", output(host.vantage, "ip", "route"))

    claim.judge(
        equal(
            "routes through docker0: to, next hop, from",
            [f"{route.destination} {route.gateway or '-'} {route.source}" for route in through],
            [f"{docker0.network} - {docker0.ip}"],
            vantage=host.vantage,
        ),
        seen(answer, Outcome.CONNECTED),
        source_is(answer, str(docker0.ip)),
    )


@strike("docker0.route", "the route is deleted")
def _(stage: Stage) -> None:
    _route(stage, "del")


@strike("docker0.route", "the host sends from the address of its own network")
def _(stage: Stage) -> None:
    _route(stage, "replace", f"src {stage.host.address}")


def _route(stage: Stage, verb: str, more: str = "") -> None:
    (docker0,) = interface(stage.host.vantage, _BRIDGE).ipv4
    stage.host.vantage.run(f"ip route {verb} {docker0.network} dev {_BRIDGE} proto kernel scope link {more}")


@pytest.mark.fact("route.default-to-veth")
@pytest.mark.shared
def test_next_hop_of_a_container_is_the_bridge(host: Host, act: Act, claim: Claim) -> None:
    """The next hop of a container's default route is docker0; the host's end of its veth pair has no IPv4 address."""
    box = host.container("box")

    with act:
        next_hops = [route.gateway for route in routes(box.vantage) if route.destination == "default"]
        ask(*(icmp(box.vantage, next_hop) for next_hop in next_hops))
        known = neighbours(box.vantage)
        docker0, eth0 = interface(host.vantage, _BRIDGE), interface(box.vantage, "eth0")
        port = other_end(eth0, host.vantage)
        claim.show("ip route; ip neigh in the container", _table(box.vantage))
        claim.show(f"ip addr show {port.name}, on the host", output(host.vantage, "ip", "addr", "show", port.name))

    claim.judge(
        equal("next hops of the container's default route", next_hops, [str(end.ip) for end in docker0.ipv4]),
        equal("MAC address of the next hop", [known.get(next_hop) for next_hop in next_hops], [docker0.mac]),
        equal(f"IPv4 addresses of {port.name}", port.ipv4, (), vantage=host.vantage),
    )


def _table(vantage: Vantage) -> str:
    return "\n".join(output(vantage, "ip", noun) for noun in ("route", "neigh"))


@strike("route.default-to-veth", "the host's end has an address, and the default route leads there")
def _(stage: Stage) -> None:
    address = "203.0.113.9"
    stage.host.machine.netlink.do("addr", "add", index=_host_end(stage), address=address, prefixlen=32)
    stage.container("box").vantage.run(f"ip route replace default via {address} dev eth0 onlink")


@strike("route.default-to-veth", "the host's end of the pair is taken off docker0, and answers for the gateway itself")
def _(stage: Stage) -> None:
    netlink, end = stage.host.machine.netlink, _host_end(stage)
    netlink.do("link", "set", index=end, master=0)
    netlink.do("route", "add", dst=f"{stage.container('box').address}/32", oif=end)


def _host_end(stage: Stage) -> int:
    return interface(stage.container("box").vantage, "eth0").peer_index or 0
