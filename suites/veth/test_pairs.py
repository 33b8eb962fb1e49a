"""The two ends of a container's veth pair."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.observe import bridge_ports, capture, interface, links, output, statistics
from netfacts.probe import ask, icmp
from netfacts.topology import Container, Host, Network
from netfacts.verdict import equal, holds


@pytest.mark.fact("veth.pair")
@pytest.mark.unbroken
@pytest.mark.parametrize(
    "find", [Host.predefined, lambda host: host.network("user")], ids=["network=bridge", "network=user"]
)
def test_container_hangs_on_a_veth_pair(host: Host, act: Act, claim: Claim, find: Callable[[Host], Network]) -> None:
    """Each container on a bridge hangs on a veth pair: one end is its eth0, the other is a port of the bridge."""
    network = find(host)
    others = bridge_ports(host.vantage, network.bridge)
    box = host.container("box", network=network)
    (port,) = bridge_ports(host.vantage, network.bridge, besides=others)

    with act:
        with capture(host.vantage, port.name) as wire:
            ask(icmp(box.vantage, str(interface(host.vantage, network.bridge).ipv4[0].ip), nonce=box.name))
        eth0 = interface(box.vantage, "eth0")
        ports = bridge_ports(host.vantage, network.bridge, besides=others)
        claim.show("ip -d link show eth0 in the container", output(box.vantage, "ip", "-d", "link", "show", "eth0"))
        claim.show(
            f"ip -d link show {port.name} on the host", output(host.vantage, "ip", "-d", "link", "show", port.name)
        )
        claim.show(f"what passes {port.name} as the container pings its gateway", wire.text())

    passed = wire.carrying(box.name)
    claim.judge(
        equal("kind of the container's eth0", eth0.kind, "veth", vantage=box.vantage),
        equal(f"ports of {network.bridge}", [(end.index, end.kind) for end in ports], [(eth0.peer_index, "veth")]),
        holds("the container's ping passes that port", bool(passed), wire.text(passed), expected="its packets"),
    )


@strike("veth.pair", "the host's end is taken off the bridge")
def _(stage: Stage) -> None:
    (port,) = (link for link in links(stage.host.vantage) if link.kind == "veth" and link.master)
    stage.host.machine.netlink.do("link", "set", index=port.index, master=0)


@strike("veth.pair", "the container gets another eth0")
def _(stage: Stage) -> None:
    _replace_eth0(stage.container("box"))


@pytest.mark.fact("veth.peer-ifindex")
def test_two_ends_of_a_pair_name_each_other(host: Host, act: Act, claim: Claim) -> None:
    """The two ends name each other by index: the host's eth0's, and eth0 the host's."""
    others = bridge_ports(host.vantage, "docker0")
    web, box = host.container("web"), host.container("box")

    with act:
        own = bridge_ports(host.vantage, "docker0", besides=others)
        ports = {link.name: _indexes(host.vantage, "", link.name) for link in own}
        ends = {role.name: _indexes(host.vantage, f"/proc/{role.pid}/root", "eth0") for role in (web, box)}
        claim.show("ifindex and iflink of docker0's ports", _table(ports))
        claim.show("ifindex and iflink of eth0 in the containers", _table(ends))

    claim.judge(
        equal(
            "(index, peer's index) of docker0's ports, and (peer's index, index) of the containers' eth0",
            sorted(ports.values()),
            sorted((peer, index) for index, peer in ends.values()),
        )
    )


@strike("veth.peer-ifindex", "a container gets another eth0")
def _(stage: Stage) -> None:
    _replace_eth0(stage.container("box"))


@pytest.mark.fact("veth.ethtool")
def test_ethtool_shows_the_index_of_eth0(host: Host, act: Act, claim: Claim) -> None:
    """The host veth's statistics hold a peer_ifindex: the index of eth0 inside the container."""
    others = bridge_ports(host.vantage, "docker0")
    box = host.container("box")

    with act:
        (port,) = bridge_ports(host.vantage, "docker0", besides=others)
        eth0 = interface(box.vantage, "eth0")
        told = {"host": statistics(host.vantage, port.name), "box": statistics(box.vantage, "eth0")}
        claim.show(f"index of eth0 in the container, and of {port.name} on the host", f"{eth0.index}, {port.index}")
        claim.show(f"ethtool -S {port.name}", _table(told["host"]))
        claim.show("ethtool -S eth0 in the container", _table(told["box"]))

    claim.judge(
        equal("peer_ifindex of the host veth", told["host"].get("peer_ifindex"), eth0.index, vantage=host.vantage)
    )


@strike("veth.ethtool", "the container gets another eth0")
def _(stage: Stage) -> None:
    _replace_eth0(stage.container("box"))


def _indexes(vantage: Vantage, root: str, name: str) -> tuple[int, int]:
    """A link's index and its peer's, from sysfs: another source than `ip`."""
    folder = f"/sys/class/net/{name}"
    own, peer = vantage.machine.read(f"{folder}/ifindex", f"{folder}/iflink", root=root)
    if not own or not peer:
        # Two zeros would equal two zeros.
        raise ProbeError(f"could not read the indexes in {folder}", where=str(vantage))
    return int(own), int(peer)


def _table(values: dict[str, int] | dict[str, tuple[int, int]]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in values.items())


def _replace_eth0(container: Container) -> None:
    """Rename eth0 and give its name to one end of a pair that both lie within the container."""
    box = container.vantage
    box.run("ip link set eth0 down")
    box.run("ip link set eth0 name old0")
    box.run("ip link add eth0 type veth peer name stray0")
