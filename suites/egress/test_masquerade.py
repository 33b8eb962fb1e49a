"""Masquerading: whose address the connections of containers bear."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import Capture, capture, output, rules
from netfacts.probe import Probe, ask, icmp, listen, tcp, udp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds, seen, source_is

# A link of the host's own, and an address behind the bridge that is in no network's subnet.
_HOSTS_END, _BY_LINK, _BY_BRIDGE = "203.0.113.1", "203.0.113.9", "203.0.113.130"


@pytest.mark.fact("bridge.masquerade-rule")
@pytest.mark.shared
def test_nat_table_masquerades_each_bridge_network(host: Host, act: Act, claim: Claim) -> None:
    """For each bridge network the nat table has a MASQUERADE rule for what leaves by another interface."""
    networks = [host.predefined(), host.network("shared")]

    with act:
        found = [rule.text for rule in rules(host.engine).of("nat", "POSTROUTING")]

    claim.show("sudo iptables -t nat -S POSTROUTING", "\n".join(found))
    wanted = {net.name: f"-A POSTROUTING -s {net.subnet} ! -o {net.bridge} -j MASQUERADE" for net in networks}
    claim.judge(
        *(holds(f"nat rules for network {name}", rule in found, found, expected=rule) for name, rule in wanted.items())
    )


flags("bridge.masquerade-rule", "--ip-masq=false")


@strike("bridge.masquerade-rule", "the rule of the user-defined network is deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "POSTROUTING", stage.network("shared").subnet)


@tamper("bridge.masquerade-rule", "the engine makes networks without masquerading")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}


@pytest.mark.fact("bridge.masquerade-source")
@pytest.mark.shared
@pytest.mark.parametrize(("protocol", "probe"), [("tcp", tcp), ("udp", udp)], ids=["protocol=tcp", "protocol=udp"])
def test_outside_listener_sees_the_hosts_address(
    protocol: str, probe: Callable[..., Probe], host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """An outside listener sees the host's address as the source of a container's traffic.

    [box] ── docker0 ─┐
    [inner] ── user ──┴─ host ── lan ── client
    """
    boxes = host.container("box"), host.container("inner", network=host.network("user"))
    listener = listen(client, protocol=protocol)
    (direct,) = ask(probe(host.vantage, client.machine.address, listener.port))
    claim.control(seen(direct, Outcome.CONNECTED, control=True))

    with act:
        answers = ask(*(probe(box.vantage, client.machine.address, listener.port) for box in boxes))

    claim.show("sudo iptables-save -t nat", rules(host.engine).text("nat"))
    claim.judge(*(source_is(answer, host.address) for answer in answers))


@pytest.mark.fact("bridge.masquerade-source")
@pytest.mark.shared
@pytest.mark.parametrize("protocol", ["icmp"], ids=["protocol=icmp"])
def test_ping_arrives_outside_from_the_hosts_address(
    protocol: str, host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """A container's ping arrives at an outside host from the host's address.

    [box] ── docker0 ─┐
    [inner] ── user ──┴─ host ── lan ── client: capture on eth0
    """
    boxes = host.container("box"), host.container("inner", network=host.network("user"))
    nic = client.machine.interface()
    (direct,) = ask(icmp(host.vantage, client.machine.address))
    claim.control(seen(direct, Outcome.CONNECTED, control=True))

    with act, capture(client, nic) as arrived:
        ask(*(icmp(box.vantage, client.machine.address, nonce=box.name) for box in boxes))

    pings = [packet for box in boxes for packet in arrived.carrying(box.name)]
    claim.show(f"sudo tcpdump -n -i {nic} {protocol}, on {client}", arrived.text(pings))
    sources = {box.name: _sources(arrived, box.name, client.machine.address) for box in boxes}
    claim.judge(
        *(
            equal(f"source of {name}'s ping, as it arrives", of, {host.address}, vantage=client)
            for name, of in sources.items()
        )
    )


flags("bridge.masquerade-source", "--ip-masq=false")


@tamper("bridge.masquerade-source", "user-defined networks come without masquerading")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}


@strike("bridge.masquerade-source", "the MASQUERADE rule is deleted, and the way back is open")
def _(stage: Stage) -> None:
    _expose_sources(stage)


def _expose_sources(stage: Stage) -> None:
    """Let containers' own addresses out, and answers to them in."""
    subnet = stage.host.predefined().subnet
    stage.delete_rules("nat", "POSTROUTING", subnet)
    # From 28 on, the raw table drops whatever comes to a container's address from another interface.
    stage.host.engine.run("iptables -t raw -F PREROUTING")
    stage.machine("client").route(subnet, stage.host.address)


@pytest.mark.fact("bridge.masquerade-capture")
@pytest.mark.shared
def test_ping_changes_its_source_between_docker0_and_eth0(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """One and the same ping bears the container's address on docker0 and the host's address on eth0.

    [box] ── docker0 ── host ── eth0 ── lan ── client
             capture            capture
    """
    box = host.container("box")
    bridge, nic = host.predefined().bridge, host.machine.interface()
    nonce = secrets.token_hex(8)

    with act, capture(host.vantage, bridge) as before, capture(host.vantage, nic) as after:
        (answer,) = ask(icmp(box.vantage, client.machine.address, nonce=nonce))

    claim.show(f"sudo tcpdump -n -i {bridge} icmp", before.text(before.carrying(nonce)))
    claim.show(f"sudo tcpdump -n -i {nic} icmp", after.text(after.carrying(nonce)))
    inside, outside = (_sources(wire, nonce, client.machine.address) for wire in (before, after))
    claim.judge(
        seen(answer, Outcome.CONNECTED),
        equal(f"source of the ping on {bridge}", inside, {box.address}, vantage=host.name),
        equal(f"source of the ping on {nic}", outside, {host.address}, vantage=host.name),
    )


def _sources(wire: Capture, nonce: str, destination: str) -> set[str]:
    """The addresses from which packets with this nonce went to a destination."""
    return {packet.source for packet in wire.carrying(nonce) if packet.destination == destination}


flags("bridge.masquerade-capture", "--ip-masq=false")


@strike("bridge.masquerade-capture", "the MASQUERADE rule is deleted, and the way back is open")
def _(stage: Stage) -> None:
    _expose_sources(stage)


@pytest.mark.fact("bridge.masquerade-meaning")
def test_masquerading_asks_for_the_interface_and_not_for_the_destination(host: Host, act: Act, claim: Claim) -> None:
    """What leaves by another interface is masqueraded, if only to the host itself; what leaves by the bridge is not.

    [box] ── net ── host ── net ── [gate: an address outside of the subnet]
                     └──── side ──── [gate: another one]
    """
    network = host.network("net")
    box, gate = (host.container(role, network=network) for role in ("box", "gate"))

    with act:
        _wire(host, gate)
        by_link, by_bridge = (listen(gate.vantage, protocol="udp", address=one) for one in (_BY_LINK, _BY_BRIDGE))
        elsewhere, back = ask(udp(box.vantage, _BY_LINK, by_link.port), udp(box.vantage, _BY_BRIDGE, by_bridge.port))

    claim.show(
        "sudo iptables -t nat -S POSTROUTING", "\n".join(r.text for r in rules(host.engine).of("nat", "POSTROUTING"))
    )
    claim.show("ip route on the host", output(host.vantage, "ip", "-4", "route"))
    claim.show("ip addr in gate", output(gate.vantage, "ip", "-4", "addr"))
    claim.judge(source_is(elsewhere, _HOSTS_END), source_is(back, box.address))


def _wire(host: Host, gate: Container) -> None:
    """Give a container two further addresses: one that the host reaches by a link of its own, one by the bridge.

    Raises: OffLimits where the host is somebody's.
    """
    hand, inside = host.by_hand, gate.vantage
    outer, inner = hand.link_add("side", "end")
    hand.link_set(inner, netns=inside)
    hand.address_add(f"{_HOSTS_END}/25", outer)
    hand.link_set(outer, up=True)
    hand.address_add(f"{_BY_LINK}/25", inner, within=inside)
    hand.link_set(inner, up=True, within=inside)
    hand.address_add(f"{_BY_BRIDGE}/32", "lo", within=inside)
    # It goes with the network's bridge.
    hand.route_add(f"{_BY_BRIDGE}/32", gate.address)


@strike("bridge.masquerade-meaning", "the MASQUERADE rule is deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "POSTROUTING", f"-s {stage.network('net').subnet} ")


@strike("bridge.masquerade-meaning", "the rule asks for the destination, as the note reads it")
def _(stage: Stage) -> None:
    subnet = stage.network("net").subnet
    stage.delete_rules("nat", "POSTROUTING", f"-s {subnet} ")
    stage.host.engine.run(f"iptables -t nat -A POSTROUTING -s {subnet} ! -d {subnet} -j MASQUERADE")


@tamper("bridge.masquerade-meaning", "the engine makes networks without masquerading")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}


@pytest.mark.fact("bridge.masq-not-intra")
@pytest.mark.shared
def test_containers_on_one_bridge_see_each_others_addresses(host: Host, act: Act, claim: Claim) -> None:
    """A container sees another one's own address as the source of what comes over their bridge.

    [box] ── docker0 ── [web]
    """
    web = host.container("web")
    box = host.container("box")
    ports = {protocol: listen(web.vantage, protocol=protocol).port for protocol in ("tcp", "udp")}

    with act:
        answers = ask(tcp(box.vantage, web.address, ports["tcp"]), udp(box.vantage, web.address, ports["udp"]))

    claim.show("sudo iptables-save -t nat", rules(host.engine).text("nat"))
    claim.judge(*(source_is(answer, box.address) for answer in answers))


@strike("bridge.masq-not-intra", "the MASQUERADE rule no longer spares the bridge itself")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -t nat -A POSTROUTING -s {stage.host.predefined().subnet} -j MASQUERADE")
