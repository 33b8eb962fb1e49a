"""ipvlan networks on a host's own interface."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import AddRoute
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import capture, interface, neighbours, output, rules
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host, Network
from netfacts.verdict import equal, holds, seen, source_is

_PORT = 8080
# Who asks for a neighbour that is not there gives up within a second; on an emulated machine that may be several.
_NO_ANSWER_S = 10.0
# Private, and in none of the pools that Docker takes subnets from.
_SUBNETS = IPv4Network("10.77.6.0/24"), IPv4Network("10.77.7.0/24")


@pytest.mark.own_segment
@pytest.mark.fact("ipvlan.l2")
def test_container_has_the_mac_of_its_parent(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """An ipvlan container is on the segment with the MAC of its host's interface; its host does not reach it.

    [box] ── segment ── eth0 of host ── lan ── client
    """
    lan = host.machine.lab.segment("lan").ipv4
    # No other check's: whom the client has met at an address it looks for there for a while, and hears nothing.
    address = str(lan[177])
    segment = host.network(
        "segment", driver="ipvlan", subnet=str(lan), options={"parent": host.machine.interface(), "ipvlan_mode": "l2"}
    )
    box = host.container("box", network=segment, address=address)
    listen(box.vantage, _PORT)

    with act:
        outside, own = ask(tcp(client, address, _PORT), tcp(host.vantage, address, _PORT))
        (ping,) = ask(icmp(box.vantage, client.machine.address))
        known = neighbours(client)
        macs = {
            box.name: interface(box.vantage, "eth0").mac,
            host.name: interface(host.vantage, host.machine.interface()).mac,
        }

    claim.show("ip neigh, on the client", output(client, "ip", "neigh"))
    claim.show("ip -d link show eth0, in the container", output(box.vantage, "ip", "-d", "link", "show", "eth0"))
    claim.judge(
        seen(outside, Outcome.CONNECTED),
        source_is(outside, client.machine.address),
        seen(ping, Outcome.CONNECTED),
        equal("MAC of the container", macs[box.name], macs[host.name], vantage=box.vantage),
        equal(f"MAC of {address}", known.get(address), macs[host.name], vantage=client),
        seen(own, Outcome.UNREACHABLE, Outcome.TIMED_OUT),
    )


@tamper("ipvlan.l2", "the engine makes a macvlan network")
def _(request: dict[str, Any]) -> dict[str, Any]:
    options = {"parent": request["options"]["parent"]} if "parent" in request.get("options", {}) else {}
    return request | ({"driver": "macvlan", "options": options} if request.get("driver") == "ipvlan" else {})


@strike("ipvlan.l2", "the container's interface is down")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 down")


@strike("ipvlan.l2", "the host gets an ipvlan interface of its own beside the container's")
def _(stage: Stage) -> None:
    host = stage.host
    # The kernel hands over by address what comes for one of these interfaces: the host's own is of no use there.
    own = host.machine.lab.segment("lan").ipv4[178]
    host.vantage.run(f"ip link add shim link {host.machine.interface()} type ipvlan mode l2")
    host.vantage.run(f"ip address add {own}/32 dev shim")
    host.vantage.run("ip link set shim up")
    host.vantage.run(f"ip route add {stage.container('box').address}/32 dev shim src {own}")


def _routed(host: Host, mode: str) -> Network:
    """An ipvlan network with two subnets, for which the host is the way."""
    first, second = map(str, _SUBNETS)
    options = {"parent": host.machine.interface(), "ipvlan_mode": mode}
    return host.network("routed", driver="ipvlan", subnet=first, further=[second], options=options)


def _in_mode(request: dict[str, Any], mode: str) -> dict[str, Any]:
    options = request.get("options", {})
    return request | ({"options": options | {"ipvlan_mode": mode}} if "ipvlan_mode" in options else {})


@pytest.mark.own_segment
@pytest.mark.fact("ipvlan.l3")
def test_l3_containers_are_reached_by_a_route_and_not_by_arp(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """In mode l3 containers of two subnets reach each other, and who routes to them; nobody answers ARP for them.

    [box, first subnet], [other, second subnet] ── routed ── eth0 of host ── lan ── client
    """
    routed = _routed(host, "l3")
    box, other = (
        host.container(role, network=routed, address=str(subnet[77]))
        for role, subnet in zip(("box", "other"), _SUBNETS, strict=True)
    )
    pair = box, other
    for container in pair:
        listen(container.vantage, _PORT)
    for subnet in _SUBNETS:
        add_route(str(subnet), "")
    listener, nic = listen(client), client.machine.interface()

    with act, capture(client, nic) as arrived:
        among = ask(tcp(box.vantage, other.address, _PORT), tcp(other.vantage, box.address, _PORT))
        beside = ask(*(tcp(client, container.address, _PORT, timeout_s=_NO_ANSWER_S) for container in pair))
        for container in pair:
            add_route(f"{container.address}/32", host.address)
        to = ask(*(tcp(client, container.address, _PORT) for container in pair))
        fro = ask(*(tcp(container.vantage, client.machine.address, listener.port) for container in pair))

    arp = [packet for packet in arrived.packets if packet.protocol == "arp"]
    claim.show(f"sudo tcpdump -n -i {nic} arp, on {client}", arrived.text(arp))
    claim.show("ip route, in a container", output(box.vantage, "ip", "route"))
    asked = [packet for packet in arp if any(container.address in packet.detail for container in pair)]
    claim.control(holds("ARP for the containers is asked", bool(asked), len(asked), expected="yes", control=True))
    answers = {container.address: arrived.answers(container.address) for container in pair}
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in (*among, *to, *fro)),
        *(source_is(answer, container.address) for answer, container in zip(among, pair, strict=True)),
        *(source_is(answer, client.machine.address) for answer in to),
        *(source_is(answer, container.address) for answer, container in zip(fro, pair, strict=True)),
        *(seen(answer, Outcome.UNREACHABLE) for answer in beside),
        equal("answers to ARP for the containers", answers, {address: [] for address in answers}, vantage=client),
    )


@tamper("ipvlan.l3", "the engine makes a network in mode l2")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return _in_mode(request, "l2")


@strike("ipvlan.l3", "one container's interface is down")
def _(stage: Stage) -> None:
    stage.container("other").vantage.run("ip link set eth0 down")


@strike("ipvlan.l3", "the client takes a container for its host, without asking")
def _(stage: Stage) -> None:
    mac = interface(stage.host.vantage, "eth0").mac
    address = stage.container("box").address
    stage.vantage("client").run(f"ip neigh replace {address} lladdr {mac} nud permanent dev eth0")


@strike("ipvlan.l3", "the host drops what containers send, and so their answers")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -I OUTPUT -s {_SUBNETS[0]} -j DROP")


@pytest.mark.own_segment
@pytest.mark.own_lab
@pytest.mark.fact("ipvlan.l3s")
def test_l3s_rules_of_the_host_apply_to_what_comes_in_and_goes_out(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """In mode l3s what comes for a container passes the host's INPUT chain, and what it sends its OUTPUT chain.

    [box] ── routed ── eth0 of host: iptables ── lan ── client
    """
    box = host.container("box", network=_routed(host, "l3s"), address=str(_SUBNETS[0][77]))
    listen(box.vantage, _PORT)
    add_route(box.address, host.address)
    listener = listen(client)
    to, fro = tcp(client, box.address, _PORT), tcp(box.vantage, client.machine.address, listener.port)
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in ask(to, fro)))
    host.engine.run(f"iptables -I INPUT -d {box.address} -p tcp --dport {_PORT} -j DROP")
    host.engine.run(f"iptables -I OUTPUT -s {box.address} -p tcp --dport {listener.port} -j DROP")

    with act:
        dropped = ask(to, fro)
        past = ask(icmp(client, box.address), icmp(box.vantage, client.machine.address))

    claim.show("sudo iptables-save -c -t filter", rules(host.engine).text("filter"))
    claim.judge(
        *(seen(answer, Outcome.TIMED_OUT) for answer in dropped),
        *(seen(answer, Outcome.CONNECTED) for answer in past),
    )


@tamper("ipvlan.l3s", "the engine makes a network in mode l3")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return _in_mode(request, "l3")


@strike("ipvlan.l3s", "another rule of OUTPUT lets everything out before")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -I OUTPUT -s {_SUBNETS[0]} -j ACCEPT")


@strike("ipvlan.l3s", "the container's interface is down")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 down")
