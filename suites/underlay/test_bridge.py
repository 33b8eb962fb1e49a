"""A bridge of the administrator's, of which the host's interface is a port, in docker0's place."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_network

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import LiveLab
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, links, other_end, output, routes
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds, seen, source_is

# Where an engine looks for a subnet of its own.
_POOLS = [ip_network("172.16.0.0/12"), ip_network("192.168.0.0/16")]


@pytest.mark.fact("brphys.default-bridge")
@pytest.mark.shared
def test_default_network_is_on_the_bridge_that_is_named(host: Host, act: Act, claim: Claim) -> None:
    """With -b br0 containers are on br0 and in its subnet, and there is no docker0."""
    bridge = host.machine.bearer()
    box = host.container("box")

    with act:
        network = host.predefined()
        found = {link.name: link for link in links(host.vantage)}
        eth0 = interface(box.vantage, "eth0")
        claim.show(f"ip link show master {bridge}", output(host.vantage, "ip", "link", "show", "master", bridge))
        claim.show("ip addr show eth0, in the container", output(box.vantage, "ip", "addr", "show", "eth0"))

    subnets = [str(end.network) for end in found[bridge].ipv4]
    claim.judge(
        equal("bridge that the engine names", network.bridge, bridge, vantage=host.name),
        equal("subnet that the engine names", [network.subnet], subnets, vantage=host.name),
        equal("docker0", [name for name in found if name == "docker0"], [], vantage=host.vantage),
        equal(
            "master of the container's veth",
            [link.master for link in found.values() if link.index == eth0.peer_index],
            [bridge],
            vantage=host.vantage,
        ),
        equal("subnet of the container's eth0", [str(end.network) for end in eth0.ipv4], subnets, vantage=box.vantage),
    )


flags("brphys.default-bridge", "--bridge=", "--fixed-cidr=")


@strike("brphys.default-bridge", "the container's veth is taken off the bridge")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {_veth(stage)} nomaster")


@strike("brphys.default-bridge", "the container has an address of another subnet")
def _(stage: Stage) -> None:
    box = stage.container("box").vantage
    box.run("ip addr flush dev eth0")
    box.run("ip addr add 192.0.2.2/24 dev eth0")


@strike("brphys.default-bridge", "somebody makes a docker0")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip link add docker0 type bridge")


@pytest.mark.own_lab
@pytest.mark.fact("brphys.must-exist")
def test_engine_makes_no_bridge_of_another_name(host: Host, act: Act, claim: Claim) -> None:
    """With -b br0 an engine does not start where there is no br0; a bridge without an address gets one from Docker."""
    netlink = host.machine.netlink
    netlink.do("link", "add", ifname="br1", kind="bridge")
    before = interface(host.vantage, "br1").ipv4
    claim.control(equal("addresses of br1, before", before, (), vantage=host.vantage, control=True))

    with act:
        host.engine.stop()
        words, other = (
            refusal(partial(host.engine.start, flags=[f"--bridge={bridge}"])).rpartition("\n")[2]
            for bridge in ("br0", "br1")
        )
        given = [end.ip for end in interface(host.vantage, "br1").ipv4]
        claim.show("ip addr show br1, with dockerd -b br1", output(host.vantage, "ip", "addr", "show", "br1"))

    claim.show("the end of dockerd's log, with dockerd -b br0", words)
    claim.judge(
        holds(
            "refusal to start with -b br0", "br0 must be created manually" in words, words, expected="for want of it"
        ),
        equal("refusal to start with -b br1", other, "", vantage=host.name),
        holds(
            "address of br1",
            len(given) == 1 and any(given[0] in pool for pool in _POOLS),
            given,
            expected="one of Docker's own pools",
            vantage=host.vantage,
        ),
    )


@strike("brphys.must-exist", "somebody makes br0")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip link add br0 type bridge")


@strike("brphys.must-exist", "somebody gives br1 an address")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip addr add 192.0.2.1/24 dev br1")


@pytest.mark.fact("brphys.host-addr-moves")
def test_host_is_on_its_lan_by_the_bridge(host: Host, client: Vantage, live: LiveLab, act: Act, claim: Claim) -> None:
    """A host whose interface is a port of br0 has address and default route on br0, and none on the interface.

    client ── lan ─┬─ eth0, in br0 of host
                   └─ router ── far
    """
    nic, bridge = host.machine.interface(), host.machine.bearer()
    router = live.lab["router"]
    listener = listen(host.vantage)
    near = ask(icmp(client, router.address))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        to, beyond = ask(
            tcp(client, host.address, listener.port, timeout_s=1.0),
            icmp(host.vantage, str(router.lab.address("router", segment="far")), timeout_s=1.0),
        )
        found = {link.name: link for link in links(host.vantage)}
        defaults = [(route.gateway, route.device) for route in routes(host.vantage) if route.destination == "default"]
        claim.show("ip addr", output(host.vantage, "ip", "addr"))
        claim.show("ip route", output(host.vantage, "ip", "route"))

    claim.judge(
        seen(to, Outcome.CONNECTED),
        source_is(to, client.machine.address),
        seen(beyond, Outcome.CONNECTED),
        equal(f"master of {nic}", found[nic].master, bridge, vantage=host.vantage),
        equal(f"IPv4 addresses of {nic}", found[nic].ipv4, (), vantage=host.vantage),
        equal(f"IPv4 addresses of {bridge}", [str(end.ip) for end in found[bridge].ipv4], [host.address]),
        equal("default routes", defaults, [(router.address, bridge)], vantage=host.vantage),
    )


@strike("brphys.host-addr-moves", "address and default route are left on the interface")
def _(stage: Stage) -> None:
    host = stage.host
    nic, bridge = host.machine.interface(), host.machine.bearer()
    prefix = host.machine.lab.segment("lan").ipv4.prefixlen
    host.vantage.run(f"ip addr flush dev {bridge} scope global")
    host.vantage.run(f"ip addr add {host.address}/{prefix} dev {nic}")
    host.vantage.run(f"ip route replace default via {stage.machine('router').address} dev {nic}")


@strike("brphys.host-addr-moves", "the default route got lost as the address was moved")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip route del default")


@strike("brphys.host-addr-moves", "the interface is taken off the bridge")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {stage.host.machine.interface()} nomaster")


@pytest.mark.fact("brphys.listing")
def test_bridge_lists_interface_and_container(host: Host, act: Act, claim: Claim) -> None:
    """While a container runs, the host's interface and the container's veth are br0's ports, and no others."""
    nic, bridge = host.machine.interface(), host.machine.bearer()
    host.require_alone()
    box = host.container("box")

    with act:
        found = links(host.vantage)
        eth0 = interface(box.vantage, "eth0")
        claim.show("bridge link", output(host.vantage, "bridge", "link"))

    veth = [link.name for link in found if link.index == eth0.peer_index and link.kind == "veth"]
    claim.control(equal("host's ends of the container's eth0", len(veth), 1, vantage=host.vantage, control=True))
    ports = {link.name for link in found if link.master == bridge}
    claim.judge(equal(f"ports of {bridge}", ports, {nic, *veth}, vantage=host.vantage))


@strike("brphys.listing", "the container's veth is taken off the bridge")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {_veth(stage)} nomaster")


@strike("brphys.listing", "the host's interface is taken off the bridge")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {stage.host.machine.interface()} nomaster")


def _veth(stage: Stage) -> str:
    return other_end(interface(stage.container("box").vantage, "eth0"), stage.host.vantage).name
