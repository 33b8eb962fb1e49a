"""Who shares a wire with a container on the default bridge: the other containers, and nobody beside the host."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import AddRoute
from fixtures.sabotage import Stage, strike
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import bridge_ports, interface, neighbours, output, sysctl
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import equal, seen

_BRIDGE = "docker0"


@pytest.mark.fact("docker0.l2-domain")
@pytest.mark.shared
def test_containers_on_docker0_are_in_one_segment(host: Host, act: Act, claim: Claim) -> None:
    """Containers on docker0 know each other's own MAC addresses, and no router is between them."""
    web, box = host.container("web"), host.container("box")

    with act:
        (answer,) = ask(icmp(box.vantage, web.address))
        known = {end.name: neighbours(end.vantage) for end in (web, box)}
        macs = {end.name: interface(end.vantage, "eth0").mac for end in (web, box)}
        claim.show("ip neigh in the container", output(box.vantage, "ip", "neigh"))

    first = int(sysctl(web.vantage, "net.ipv4.ip_default_ttl"))
    claim.judge(
        seen(answer, Outcome.CONNECTED),
        equal("TTL with which the answer arrives", answer.ttl, first, vantage=box.name),
        equal("MAC address that answers for web", known[box.name].get(web.address), macs[web.name], vantage=box.name),
        equal("MAC address that answers for box", known[web.name].get(box.address), macs[box.name], vantage=web.name),
    )


@strike("docker0.l2-domain", "one container's veth is taken off docker0")
def _(stage: Stage) -> None:
    port, *_ = bridge_ports(stage.host.vantage, _BRIDGE)
    stage.host.machine.netlink.do("link", "set", index=port.index, master=0)


@strike("docker0.l2-domain", "docker0 keeps its ports apart, and the host routes between them")
def _(stage: Stage) -> None:
    for port in bridge_ports(stage.host.vantage, _BRIDGE):
        stage.host.vantage.run(f"ip link set {port.name} type bridge_slave isolated on")
    stage.host.machine.sysctl(**{f"net.ipv4.conf.{_BRIDGE}.proxy_arp_pvlan": "1"})


@pytest.mark.own_segment
@pytest.mark.fact("docker0.same-physical-net")
@pytest.mark.shared
def test_container_is_not_in_the_network_of_the_host_s_interface(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """No container answers on the wire that its host is on: no interface of the host itself is a port of docker0.

    client ── lan ── eth0 host   docker0 ── [web]
    """
    web = host.container("web")
    add_route(f"{web.address}/32", "")
    near = ask(icmp(client, host.address), icmp(host.vantage, web.address))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        ports = bridge_ports(host.vantage, _BRIDGE)
        (answer,) = ask(icmp(client, web.address))
        known = neighbours(client)
        claim.show(
            "ip link show master docker0, on the host", output(host.vantage, "ip", "link", "show", "master", _BRIDGE)
        )
        claim.show("ip route; ip neigh, on the client", _table(client))

    claim.judge(
        equal(
            "interfaces of the host itself that are ports of docker0",
            [link.name for link in ports if link.kind != "veth" or link.name == host.machine.interface()],
            [],
            vantage=host.vantage,
        ),
        seen(answer, Outcome.UNREACHABLE),
        equal("MAC address that answers for the container", known.get(web.address), None, vantage=client),
    )


def _table(client: Vantage) -> str:
    return "\n".join(output(client, "ip", noun) for noun in ("route", "neigh"))


@strike("docker0.same-physical-net", "the host's interface is made a port of docker0")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "set", index=netlink.index("eth0"), master=netlink.index(_BRIDGE))


@strike("docker0.same-physical-net", "the host answers for its containers on the wire")
def _(stage: Stage) -> None:
    stage.host.machine.sysctl(**{"net.ipv4.conf.eth0.proxy_arp": "1"})
