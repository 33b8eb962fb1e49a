"""MAC addresses on bridges: what they are made from, that they are announced, and that they are unlike."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import Link, Packet, capture, interface, output
from netfacts.probe import ask, icmp
from netfacts.topology import Host, Network
from netfacts.verdict import different, equal, holds, seen

_PREFIX = "02:42"
# Locally administered, and of neither kind that an engine generates for this address.
_FOREIGN = "06:00:00:00:00:07"
# An ARP message of Ethernet and IPv4: hardware and protocol, then the operation, and each end's MAC and IPv4 address.
_ARP_BYTES = 28


@pytest.mark.fact("docker0.mac")
def test_mac_of_docker0_starts_with_02_42(host: Host, act: Act, claim: Claim) -> None:
    """docker0's MAC address starts with 02:42."""
    with act:
        docker0 = interface(host.vantage, "docker0")
        claim.show("ip link show docker0", output(host.vantage, "ip", "link", "show", "docker0"))

    claim.judge(equal("start of docker0's MAC address", docker0.mac[: len(_PREFIX)], _PREFIX, vantage=host.vantage))


@strike("docker0.mac", "docker0 is given another MAC address", engines="<28")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set docker0 address {_FOREIGN}")


@strike("docker0.mac", "docker0 is given a MAC address as older engines make it", engines=">=28")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set docker0 address {_PREFIX}:11:22:33:44")


@pytest.mark.fact("mac.from-ip")
@pytest.mark.shared
@pytest.mark.parametrize(
    "find", [Host.predefined, lambda host: host.network("user")], ids=["network=bridge", "network=user"]
)
def test_mac_on_a_bridge_is_made_from_the_address(
    host: Host, act: Act, claim: Claim, find: Callable[[Host], Network]
) -> None:
    """A container's MAC address on a bridge network is 02:42 and the four bytes of its IPv4 address."""
    box = host.container("box", network=find(host))

    with act:
        eth0 = interface(box.vantage, "eth0")
        claim.show("ip addr show eth0 in the container", output(box.vantage, "ip", "addr", "show", "eth0"))

    claim.judge(equal("MAC address of eth0", eth0.mac, _derived(eth0), vantage=box.vantage))


def _derived(link: Link) -> str:
    (address,) = link.ipv4
    return f"{_PREFIX}:{address.ip.packed.hex(':')}"


@strike("mac.from-ip", "the container's eth0 is given another MAC address", engines="<28")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run(f"ip link set eth0 address {_FOREIGN}")


@strike("mac.from-ip", "the container's eth0 is given the MAC address that older engines make", engines=">=28")
def _(stage: Stage) -> None:
    box = stage.container("box").vantage
    box.run(f"ip link set eth0 address {_derived(interface(box, 'eth0'))}")


@pytest.mark.fact("garp.on-start")
def test_starting_container_announces_its_address(host: Host, act: Act, claim: Claim) -> None:
    """A container that starts on a bridge network announces its IPv4 address there by a gratuitous ARP."""
    network = host.network("net")

    with act, capture(host.vantage, network.bridge) as wire:
        box = host.container("box", network=network)
        (ping,) = ask(icmp(box.vantage, network.gateway, nonce=box.name))

    asked = [packet for packet in wire.packets if packet.protocol == "arp"]
    claim.show(f"ARP on {network.bridge}, meanwhile", wire.text(asked))
    passed = wire.carrying(box.name)
    claim.control(
        seen(ping, Outcome.CONNECTED, control=True),
        holds("the ping passes the bridge", bool(passed), wire.text(passed), expected="its packets", control=True),
    )
    announced = {_announced(packet) for packet in asked} - {""}
    claim.judge(equal(f"addresses announced on {network.bridge}", announced, {box.address}, vantage=host.vantage))


def _announced(packet: Packet) -> str:
    """The address that a gratuitous ARP is about, which is sender and target in one; "" for other ARP messages."""
    sender, target = packet.payload[14:18], packet.payload[24:_ARP_BYTES]
    return str(IPv4Address(sender)) if sender == target else ""


@tamper("garp.on-start", "the network is made with advertise_addr_nmsgs=0", engines=">=28")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.advertise_addr_nmsgs": "0"}}


@strike("garp.on-start", "the container's address is announced as soon as the engine has started it", engines="<28")
def _(stage: Stage) -> None:
    def announce(said: object) -> object:
        box = stage.container("box")
        box.refresh()
        argv = ["busybox", "arping", "-U", "-c", "1", "-w", "1", "-I", "eth0", box.address]
        stage.host.machine.execute(argv, net=box.vantage.net)
        return said

    stage.forge("/start", announce)


@pytest.mark.fact("restart.mac")
def test_restarted_container_has_a_mac_of_its_own(host: Host, act: Act, claim: Claim) -> None:
    """No two running containers have one MAC address, also where one started anew finds its IPv4 address taken."""
    first = host.container("first")
    before = first.address
    host.stop(first)
    second = host.container("second")
    host.start(first)
    claim.control(equal("address of the second container", second.address, before, control=True))

    with act:
        ends = [interface(container.vantage, "eth0") for container in (first, second)]
        claim.show("MAC and IPv4 addresses", "\n".join(f"{end.mac} {end.ipv4[0]}" for end in ends))

    claim.judge(different("MAC address of the restarted container", ends[0].mac, ends[1].mac, vantage=first.vantage))


@strike("restart.mac", "the restarted container is given the other's MAC address", engines="!=25.0.0")
def _(stage: Stage) -> None:
    second = interface(stage.container("second").vantage, "eth0")
    stage.container("first").vantage.run(f"ip link set eth0 address {second.mac}")


@strike("restart.mac", "the restarted container is given a MAC address of its own", engines="==25.0.0")
def _(stage: Stage) -> None:
    stage.container("first").vantage.run(f"ip link set eth0 address {_FOREIGN}")
