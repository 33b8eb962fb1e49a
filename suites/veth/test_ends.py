"""The two ends of a container's veth pair: what they are called, who sees them, what they carry, when they go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.observe import (
    Capture,
    Link,
    bridge_ports,
    capture,
    interface,
    links,
    namespaces,
    other_end,
    output,
    routes,
)
from netfacts.probe import ask, icmp
from netfacts.topology import Container, Host
from netfacts.verdict import different, equal, holds, seen

_BRIDGE = "docker0"
_NAME = re.compile(r"veth[0-9a-f]{7}")


@pytest.mark.fact("veth.name")
@pytest.mark.shared
def test_ends_are_called_eth0_and_veth_with_seven_digits(host: Host, act: Act, claim: Claim) -> None:
    """The host's end is called veth and seven hexadecimal digits; the container's end eth0."""
    boxes = [host.container(role) for role in ("web", "box")]

    with act:
        inside = [_veths(box.vantage) for box in boxes]
        indexes = {link.peer_index for ends in inside for link in ends}
        outside = {link.name for link in links(host.vantage) if link.index in indexes}
        claim.show("ip link show type veth, on the host", output(host.vantage, "ip", "link", "show", "type", "veth"))

    claim.judge(
        equal("veths in the containers", [[link.name for link in ends] for ends in inside], [["eth0"], ["eth0"]]),
        equal("names of their ends on the host", len(outside), len(boxes), vantage=host.vantage),
        holds(
            "names of their ends on the host",
            all(map(_NAME.fullmatch, outside)),
            outside,
            expected="veth and seven hexadecimal digits each",
            vantage=host.vantage,
        ),
    )


def _veths(vantage: Vantage) -> list[Link]:
    return [link for link in links(vantage) if link.kind == "veth"]


@strike("veth.name", "the host's end is called as in older engines")
def _(stage: Stage) -> None:
    port, *_ = bridge_ports(stage.host.vantage, _BRIDGE)
    _rename(stage.host.vantage, port.name, "vethAQI2QT")


@strike("veth.name", "the container's end is called eth1")
def _(stage: Stage) -> None:
    _rename(stage.container("box").vantage, "eth0", "eth1")


def _rename(vantage: Vantage, link: str, name: str) -> None:
    vantage.run(f"ip link set {link} down")
    vantage.run(f"ip link set {link} name {name}")
    vantage.run(f"ip link set {name} up")


@pytest.mark.fact("iface.eth0-private")
@pytest.mark.shared
def test_container_has_a_network_namespace_of_its_own(host: Host, act: Act, claim: Claim) -> None:
    """Neither the host nor another container sees a container's eth0; the host's routes and NAT rules aren't in it."""
    box, other = host.container("box"), host.container("other")

    with act:
        spaces = {pid: namespaces(host.machine, pid)["net"] for pid in (box.pid, other.pid)}
        own = {link.mac for link in links(box.vantage) if link.name == "eth0"}
        found = [(str(at), link.name) for at in (box.vantage, other.vantage, host.vantage) for link in _with(at, own)]
        paths, hosts_paths = routes(box.vantage), routes(host.vantage)
        nat, hosts_nat = _nat(host, box.vantage), _nat(host, host.vantage)
        claim.show("ip link show, on the host", output(host.vantage, "ip", "link", "show"))
        claim.show("ip link show eth0 in the container", output(box.vantage, "ip", "link", "show", "eth0"))
        claim.show("ip route, on the host", output(host.vantage, "ip", "route"))
        claim.show("ip route in the container", output(box.vantage, "ip", "route"))
        claim.show("iptables -t nat -S, on the host", "\n".join(hosts_nat))
        claim.show("iptables -t nat -S in the container's network namespace", "\n".join(nat))

    masquerades = [rule for rule in hosts_nat if "-j MASQUERADE" in rule]
    claim.control(
        holds(
            "rules by which the host masquerades",
            bool(masquerades),
            masquerades,
            expected="one at least",
            vantage=host.vantage,
            control=True,
        )
    )
    claim.judge(
        equal("who has a link with the MAC address of box's eth0", found, [(box.name, "eth0")]),
        different("network namespace, beside the other container's", spaces[box.pid], spaces[other.pid]),
        equal("devices of its routes", {path.device for path in paths}, {"eth0"}, vantage=box.vantage),
        equal("routes that the host has as well", _both(paths, hosts_paths), [], vantage=box.vantage),
        equal("NAT rules that the host has as well", _both(nat, hosts_nat), [], vantage=box.vantage),
    )


def _nat(host: Host, vantage: Vantage) -> list[str]:
    """The rules of the table nat in the network namespace of a vantage, but for the policies that each has."""
    done = host.engine.execute(["iptables", "-t", "nat", "-S"], net=vantage.net)
    lines = done.checked("could not read the table nat", ProbeError).out.splitlines()
    return [line for line in lines if not line.startswith("-P ")]


def _both(ones: Sequence[object], others: Sequence[object]) -> list[object]:
    return [one for one in ones if one in others]


def _with(vantage: Vantage, macs: set[str]) -> list[Link]:
    return [link for link in links(vantage) if link.mac in macs]


@tamper("iface.eth0-private", "the engine takes the container for one in host mode")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"mode": "host"} if request["name"].startswith("box") else {})


@tamper("iface.eth0-private", "the engine has one container join the other's network namespace")
def _(request: dict[str, Any]) -> dict[str, Any]:
    joined = f"container:{request['name'].replace('other', 'box')}"
    return request | ({"mode": joined} if request["name"].startswith("other") else {})


@strike("iface.eth0-private", "eth0 is moved to the host")
def _(stage: Stage) -> None:
    box = stage.container("box").vantage
    _rename(box, "eth0", "moved0")
    box.run("ip link set moved0 netns 1")


@strike("iface.eth0-private", "a device and a route of the host's are in the container as well")
def _(stage: Stage) -> None:
    box, bridge = stage.container("box").vantage, interface(stage.host.vantage, _BRIDGE)
    box.run(f"ip link add {_BRIDGE} type bridge")
    box.run(f"ip address add {bridge.ipv4[0]} dev {_BRIDGE}")
    box.run(f"ip link set {_BRIDGE} up")


@strike("iface.eth0-private", "a NAT rule of the host's is in the container as well")
def _(stage: Stage) -> None:
    rule = next(rule for rule in _nat(stage.host, stage.host.vantage) if "-j MASQUERADE" in rule)
    stage.host.engine.run(f"iptables -t nat {rule}", net=stage.container("box").vantage.net)


@pytest.mark.fact("veth.removed-on-stop")
def test_pair_goes_when_its_container_stops(host: Host, act: Act, claim: Claim) -> None:
    """The host's end of the pair goes when the container stops, and another one comes when it starts again."""
    others = {link.index for link in links(host.vantage)}
    box = host.container("box")

    with act:
        found = [_new(host, others)]
        host.stop(box)
        found.append(_new(host, others))
        claim.show("ip link show type veth, on the host, when it has stopped", _shown(host))
        host.start(box)
        found.append(_new(host, others))
        claim.show("ip link show type veth, on the host, when it runs again", _shown(host))
        end = interface(box.vantage, "eth0").peer_index

    counts = [len(ends) for ends in found]
    claim.judge(
        equal("veths on docker0 more than before: it runs, has stopped, runs again", counts, [1, 0, 1]),
        equal("index of the one that came", [link.index for link in found[2]], [end], vantage=host.vantage),
        different("its name", *([link.name for link in found[turn]] for turn in (2, 0)), vantage=host.vantage),
    )


def _new(host: Host, others: set[int]) -> list[Link]:
    return [link for link in _veths(host.vantage) if link.master == _BRIDGE and link.index not in others]


def _shown(host: Host) -> str:
    return output(host.vantage, "ip", "link", "show", "type", "veth")


@strike("veth.removed-on-stop", "the engine starts the container again as soon as it has stopped")
def _(stage: Stage) -> None:
    def start(said: object) -> object:
        stage.host.engine.api.start(stage.container("box").id)
        return said

    stage.forge("/stop", start)


@strike("veth.removed-on-stop", "the engine leaves a veth behind on docker0")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink

    def leave(said: object) -> object:
        netlink.do("link", "add", ifname="left0", kind="veth", peer="left1")
        netlink.do("link", "set", index=netlink.index("left0"), master=netlink.index(_BRIDGE))
        return said

    stage.forge("/stop", leave)


@strike("veth.removed-on-stop", "the engine calls the new one as the old one was")
def _(stage: Stage) -> None:
    old = _host_end(stage.host, stage.container("box"))

    def rename(said: object) -> object:
        box = stage.container("box")
        box.refresh()
        _rename(stage.host.vantage, _host_end(stage.host, box), old)
        return said

    stage.forge("/start", rename)


@pytest.mark.fact("veth.carries")
def test_what_goes_in_at_one_end_comes_out_at_the_other(host: Host, act: Act, claim: Claim) -> None:
    """What a container sends by eth0 comes out of the host's end of the pair unchanged, and the other way round."""
    box, other = host.container("box"), host.container("other")

    with act:
        ends = [_host_end(host, container) for container in (box, other)]
        with (
            capture(box.vantage, "eth0") as inner,
            capture(host.vantage, ends[0]) as outer,
            capture(host.vantage, ends[1]) as elsewhere,
        ):
            (answer,) = ask(icmp(box.vantage, str(interface(host.vantage, _BRIDGE).ipv4[0].ip), nonce=box.name))

    sent, received = _passed(inner, box, "out"), _passed(inner, box, "in")
    claim.show("what passes eth0 in the container", inner.text(inner.carrying(box.name)))
    claim.show(f"what passes {ends[0]} on the host", outer.text(outer.carrying(box.name)))
    claim.judge(
        seen(answer, Outcome.CONNECTED),
        equal("packets that the container sends and receives", [len(sent), len(received)], [1, 1], vantage=box.name),
        equal(f"what comes out of {ends[0]}", _passed(outer, box, "in"), sent, vantage=host.vantage),
        equal(f"what goes in at {ends[0]}", _passed(outer, box, "out"), received, vantage=host.vantage),
        equal(f"what passes {ends[1]}, the other container's", elsewhere.carrying(box.name), [], vantage=host.vantage),
    )


def _host_end(host: Host, container: Container) -> str:
    return other_end(interface(container.vantage, "eth0"), host.vantage).name


def _passed(wire: Capture, box: Container, way: str) -> list[tuple[str, bytes]]:
    return [(str(packet), packet.payload) for packet in wire.carrying(box.name) if packet.way == way]


@strike("veth.carries", "the host's end is set down")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {_host_end(stage.host, stage.container('box'))} down")


@strike("veth.carries", "the host's end takes small packets only")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {_host_end(stage.host, stage.container('box'))} mtu 68")


@strike("veth.carries", "the container's end takes small packets only")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 mtu 68")


@strike("veth.carries", "docker0 remembers nobody, and sends everything to all")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {_BRIDGE} type bridge ageing_time 0")
