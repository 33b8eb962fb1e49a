"""With --live-restore containers run on while their engine is replaced: what becomes of them and of their flows."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike
from fixtures.takeover import Takeover
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import processes
from netfacts.probe import ask, listen, resolve, start_flow, stop_flows, tcp, udp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen, source_is
from suites.carry.flows import account

pytestmark = [pytest.mark.takeover, pytest.mark.engine("--live-restore")]

_PROTOCOLS = ("tcp", "udp")
# A name that the lab's own DNS server knows.
_KNOWN = "resolver.lab"
_PORT = 8080


@pytest.mark.fact("carry.live-containers")
def test_containers_run_on(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """A container runs on with the same first process and start time."""
    box = host.container("box")
    before = _life(box)
    absence = takeover()

    with act:
        box.refresh()
        after = _life(box)
        claim.show("docker exec box ps -o pid,stat,args", box.run("ps", "-o", "pid,stat,args").out)

    claim.measure("absence of the engine", round((absence.ended - absence.began) * 1000), "ms")
    claim.judge(*(equal(what, after[what], before[what], vantage=box.name) for what in before))


def _life(container: Container) -> dict[str, object]:
    state = container.said["State"]
    return {
        "first process": container.pid,
        "started at": state["StartedAt"],
        "restarts": container.said["RestartCount"],
        "state": container.state,
    }


flags("carry.live-containers", "--live-restore=false")


@strike("carry.live-containers", "the container is started again")
def _(stage: Stage) -> None:
    stage.host.engine.api.restart(stage.container("box").id, timeout=0)


@pytest.mark.fact("carry.live-flow-out")
def test_flows_to_outside_survive(host: Host, client: Vantage, act: Act, claim: Claim, takeover: Takeover) -> None:
    """A container's TCP connection and UDP flow to an outside host survive, under the host's address.

    [box] ── docker0 of host ── lan ── client
    """
    box = host.container("box")
    ports = {protocol: listen(client, protocol=protocol).port for protocol in _PROTOCOLS}
    flows = [start_flow(box.vantage, client.machine.address, ports[over], protocol=over) for over in _PROTOCOLS]
    absence = takeover()

    with act:
        over_tcp, over_udp = stop_flows(*flows)
        # What its policy has dropped was sent while there were no rules.
        claim.show("iptables -nvL FORWARD", host.engine.execute(["iptables", "-nvL", "FORWARD"]).out)

    account(claim, absence, {"tcp flow container → outside": over_tcp, "udp flow container → outside": over_udp})
    claim.judge(
        seen(over_tcp.answer, Outcome.CONNECTED),
        seen(over_udp.answer, Outcome.CONNECTED),
        source_is(over_udp.answer, host.address),
    )


@strike("carry.live-flow-out", "forwarding is off")
def _(stage: Stage) -> None:
    stage.host.machine.sysctl(**{"net.ipv4.ip_forward": "0"})


@pytest.mark.fact("carry.live-flow-between")
def test_flows_between_containers_survive(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """A TCP connection and a UDP flow between two containers of a user-defined network survive."""
    network = host.network("net")
    web, box = host.container("web", network=network), host.container("box", network=network)
    ports = {protocol: listen(web.vantage, protocol=protocol).port for protocol in _PROTOCOLS}
    flows = [start_flow(box.vantage, web.address, ports[over], protocol=over) for over in _PROTOCOLS]
    absence = takeover()

    with act:
        over_tcp, over_udp = stop_flows(*flows)

    account(claim, absence, {"tcp flow container → container": over_tcp, "udp flow container → container": over_udp})
    claim.judge(
        seen(over_tcp.answer, Outcome.CONNECTED),
        seen(over_udp.answer, Outcome.CONNECTED),
        source_is(over_udp.answer, box.address),
    )


@strike("carry.live-flow-between", "the network's bridge is down")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "set", index=netlink.index(stage.network("net").bridge), state="down")


@strike("carry.live-flow-between", "one of the containers has ended")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("web"))


@pytest.mark.fact("carry.live-flow-in")
def test_flows_to_published_ports_survive(
    host: Host, client: Vantage, act: Act, claim: Claim, takeover: Takeover
) -> None:
    """An outside client's TCP connection and UDP flow to published ports survive, and further ones are served.

    client ── lan ── host :8080 ── docker0 ── [web :8080]
    """
    web = host.container("web", publish={f"{_PORT}/{protocol}": _PORT for protocol in _PROTOCOLS})
    for protocol in _PROTOCOLS:
        listen(web.vantage, _PORT, protocol=protocol)
    flows = [start_flow(client, host.address, _PORT, protocol=protocol) for protocol in _PROTOCOLS]
    absence = takeover()

    with act:
        over_tcp, over_udp = stop_flows(*flows)
        further = ask(tcp(client, host.address, _PORT), udp(client, host.address, _PORT))
        claim.show("iptables -t nat -S", host.engine.execute(["iptables", "-t", "nat", "-S"]).out)

    account(claim, absence, {"tcp flow outside → published": over_tcp, "udp flow outside → published": over_udp})
    claim.judge(
        seen(over_tcp.answer, Outcome.CONNECTED),
        seen(over_udp.answer, Outcome.CONNECTED),
        *(source_is(answer, client.machine.address) for answer in (over_udp.answer, *further)),
    )


@strike("carry.live-flow-in", "the firewall drops what is forwarded from outside")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I FORWARD -i eth0 -j DROP")


@strike(
    "carry.live-flow-in", "the DNAT rules and docker-proxies are gone: what stands goes on, but nothing comes after it"
)
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@pytest.mark.fact("carry.live-flow-loopback")
def test_connection_through_docker_proxy_is_cut(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """From the host's loopback a TCP connection is cut with its docker-proxy; UDP and new connections go on afterwards.

    127.0.0.1 of host ── docker-proxy :8080 ── docker0 ── [web :8080]
    """
    web = host.container("web", publish={f"{_PORT}/{protocol}": _PORT for protocol in _PROTOCOLS})
    for protocol in _PROTOCOLS:
        listen(web.vantage, _PORT, protocol=protocol)
    flows = [start_flow(host.vantage, "127.0.0.1", _PORT, protocol=over) for over in (*_PROTOCOLS, "connections")]
    absence = takeover()

    with act:
        over_tcp, over_udp, anew = stop_flows(*flows)
        proxies = processes(host.machine, name="docker-proxy")

    what = (
        "tcp flow loopback → published",
        "udp flow loopback → published",
        "published port at the loopback, asked anew",
    )
    account(claim, absence, dict(zip(what, (over_tcp, over_udp, anew), strict=True)))
    claim.show("docker-proxies", "\n".join(f"{proxy.pid} {' '.join(proxy.argv)}" for proxy in proxies))
    claim.judge(
        seen(over_tcp.answer, Outcome.RESET),
        seen(over_udp.answer, Outcome.CONNECTED),
        seen(anew.answer, Outcome.CONNECTED),
    )


@strike("carry.live-flow-loopback", "docker-proxy has gone")
def _(stage: Stage) -> None:
    stage.host.machine.kill(*(proxy.pid for proxy in processes(stage.host.machine, name="docker-proxy")))


flags("carry.live-flow-loopback", "--userland-proxy=false")


@pytest.mark.fact("carry.live-names")
def test_names_resolve_for_containers_of_before(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """The embedded DNS server answers a container of before, and containers of before and after find each other.

    before: web (alias shop), old      after: new      all on one user-defined network
    """
    network = host.network("net")
    web, old = host.container("web", network=network, aliases=["shop"]), host.container("old", network=network)
    known = resolve(old.vantage, web.name, "shop", _KNOWN)
    claim.control(*(seen(found, Outcome.CONNECTED, control=True) for found in known))
    takeover()
    new = host.container("new", network=network)
    addresses = {box.name: box.address for box in (web, old, new)}
    addresses |= {"shop": web.address, _KNOWN: str(host.machine.lab.resolver)}

    with act:
        found = [
            *resolve(old.vantage, web.name, "shop", new.name, _KNOWN),
            *resolve(new.vantage, web.name, "shop", old.name, _KNOWN),
        ]
        nat = host.engine.execute(["iptables", "-t", "nat", "-S"], net=old.vantage.net)
        claim.show("iptables -t nat -S, in the container of before", nat.out)

    claim.judge(
        *(
            equal(f"addresses of {one.name}", one.addresses, (addresses[one.name],), vantage=one.vantage)
            for one in found
        )
    )


@strike("carry.live-names", "the rules that lead to the engine's server are flushed in a container of before")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -t nat -F", net=stage.container("old").vantage.net)


@strike("carry.live-names", "the container that came after is off the network")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("net"), stage.container("new"))
