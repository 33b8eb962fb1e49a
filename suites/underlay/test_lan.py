"""Containers on a bridge that the host's interface is a port of: neighbours of every machine of the LAN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import LiveLab
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage, of_machine
from netfacts.model.lab import SHAPES
from netfacts.model.verdict import Outcome
from netfacts.observe import capture, interface, neighbours, other_end, output, routes, rules, sysctl
from netfacts.probe import Answer, ask, icmp, listen, tcp, udp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen, source_is

_PORT = 8080
_BRIDGED = "net.bridge.bridge-nf-call-iptables"
_ROUTER = str(SHAPES["underlay"].address("router"))

SetBridged = Callable[[str], None]
"""What `set_bridged` yields: it takes "1" or "0"."""


@pytest.mark.fact("brphys.lan-reachable")
@pytest.mark.shared
def test_containers_of_two_hosts_are_neighbours_on_the_lan(
    host: Host, host2: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """Containers of two hosts and another machine of the LAN reach each other under their own addresses and MACs.

    [box] ── br0 of host ── lan ─┬─ br0 of host2 ── [web]
                                 └─ client
    """
    box, web = host.container("box"), host2.container("web")
    for vantage in (box.vantage, web.vantage):
        listen(vantage, _PORT)
    outside = listen(client).port
    near = ask(*(tcp(one.vantage, client.machine.address, outside) for one in (host, host2)))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        ways = [
            (client, web.address, _PORT),
            (web.vantage, client.machine.address, outside),
            (client, box.address, _PORT),
            (box.vantage, client.machine.address, outside),
            (box.vantage, web.address, _PORT),
            (web.vantage, box.address, _PORT),
        ]
        answers = ask(*(tcp(*way, timeout_s=1.0) for way in ways))
        known = {one.name: neighbours(one.vantage) for one in (box, web)} | {client.label: neighbours(client)}
        macs = {one.address: interface(one.vantage, "eth0").mac for one in (box, web)}
        claim.show("ip neigh, on the client", output(client, "ip", "neigh"))
        claim.show("ip neigh, in a container", output(box.vantage, "ip", "neigh"))

    own = {box.name: box.address, web.name: web.address, client.label: client.machine.address}
    claim.judge(
        *(source_is(answer, own[answer.probe.vantage.label]) for answer in answers),
        *(
            equal(f"MAC of {address}", known[there].get(address), macs[address], vantage=there)
            for there, address in (
                (client.label, box.address),
                (client.label, web.address),
                (box.name, web.address),
                (web.name, box.address),
            )
        ),
    )


@strike("brphys.lan-reachable", "the second host's interface is taken off its bridge")
def _(stage: Stage) -> None:
    host2 = stage.vantage("host2")
    host2.run(f"ip link set {host2.machine.interface()} nomaster")


@strike("brphys.lan-reachable", "the first host puts its own address in place of the container's")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -t nat -I POSTROUTING -s {stage.container('box').address} -j MASQUERADE")


@strike("brphys.lan-reachable", "the client takes the second host for its container")
def _(stage: Stage) -> None:
    web, mac = stage.container("web", "host2"), interface(stage.vantage("host2"), stage.machine("host2").bearer()).mac
    client = stage.vantage("client")
    client.run(f"ip neigh replace {web.address} lladdr {mac} nud permanent dev {client.machine.interface()}")


flags("brphys.lan-reachable", "--bridge=", "--fixed-cidr=")


@pytest.mark.engine("--fixed-cidr=")
@pytest.mark.fact("brphys.address-clash")
def test_two_hosts_give_away_the_same_address(host: Host, host2: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """Without --fixed-cidr the first container of each host has the lowest address of the LAN, and both answer for it.

    [box] ── br0 of host ── lan ─┬─ br0 of host2 ── [twin]
                                 └─ client
    """
    lowest = str(host.machine.lab.segment("lan").ipv4[1])
    box, twin = host.container("box"), host2.container("twin")
    listen(box.vantage, _PORT)
    listen(twin.vantage, _PORT)
    near = ask(icmp(client, host.address), icmp(client, host2.address))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act, ExitStack() as captures:
        ends = {one.name: interface(one.vantage, "eth0") for one in (box, twin)}
        addresses = {name: str(end.ipv4[0].ip) for name, end in ends.items()}
        sent = {one.name: captures.enter_context(capture(one.vantage, "eth0")) for one in (box, twin)}
        came = captures.enter_context(capture(client, client.machine.interface()))
        own, _ = ask(tcp(box.vantage, addresses[twin.name], _PORT, timeout_s=1.0), icmp(client, lowest, timeout_s=1.0))
        # Whichever of the ARP answers is the later one has come when a further question is answered.
        ask(icmp(client, host2.address))

    claim.show("ARP that the client heard", came.text([packet for packet in came.packets if packet.protocol == "arp"]))
    claim.judge(
        *(equal(f"address of {name}", address, lowest) for name, address in addresses.items()),
        equal(f"who answers {box.name} at the address of {twin.name}", own.name, box.name, vantage=box.name),
        *(
            equal(f"MACs by which {name} answers for {lowest}", {*wire.answers(lowest, way="out")}, {ends[name].mac})
            for name, wire in sent.items()
        ),
        equal(
            f"MACs that the client heard of for {lowest}",
            {*came.answers(lowest, way="in")},
            {end.mac for end in ends.values()},
            vantage=client,
        ),
    )


@strike("brphys.address-clash", "the second host's container has an address of the host's share")
def _(stage: Stage) -> None:
    twin = stage.container("twin", "host2").vantage
    twin.run("ip addr flush dev eth0")
    twin.run("ip addr add 198.51.100.128/24 dev eth0")


flags("brphys.address-clash", "--fixed-cidr=198.51.100.64/26")


@strike("brphys.address-clash", "the second host's interface is taken off its bridge")
def _(stage: Stage) -> None:
    host2 = stage.vantage("host2")
    host2.run(f"ip link set {host2.machine.interface()} nomaster")


@pytest.mark.fact("brphys.gateway")
@pytest.mark.parametrize(
    "through",
    ["host", pytest.param("router", marks=pytest.mark.engine(f"--default-gateway={_ROUTER}"))],
    ids="through={}".format,
)
def test_default_gateway_is_the_bridge_unless_another_is_named(
    host: Host, live: LiveLab, act: Act, claim: Claim, through: str
) -> None:
    """A container's default gateway is br0's own address, or that of --default-gateway.

    [box] ── br0 of host ── lan ── router ── far
    """
    box = host.container("box")
    router, gateway = of_machine(live.lab["router"]), live.lab[through]
    near = ask(icmp(host.vantage, router.machine.address))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        found = routes(box.vantage)
        with capture(router, router.machine.interface()) as wire:
            far = str(router.machine.lab.address("router", segment="far"))
            (ping,) = ask(icmp(box.vantage, far, nonce=box.name, timeout_s=1.0))
        macs = {
            "host": interface(host.vantage, host.machine.bearer()).mac,
            "router": interface(box.vantage, "eth0").mac,
        }
        claim.show("ip route, in the container", output(box.vantage, "ip", "route"))

    defaults = [(route.gateway, route.device) for route in found if route.destination == "default"]
    came = {packet.source_mac for packet in wire.carrying(box.name) if packet.way == "in"}
    claim.judge(
        equal("default routes of the container", defaults, [(gateway.address, "eth0")], vantage=box.vantage),
        seen(ping, Outcome.CONNECTED),
        equal("MACs from which the router gets the container's ping", came, {macs[through]}, vantage=router),
    )


@strike("brphys.gateway", "the container's default route leads elsewhere")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run(f"ip route replace default via {stage.machine('host2').address}")


flags("brphys.gateway", "--default-gateway=198.51.100.20")


@pytest.fixture
def set_bridged(host: Host) -> Iterator[SetBridged]:
    """Yields what says whether bridged frames meet the host's iptables. Undo: it is as it was."""
    before = sysctl(host.vantage, _BRIDGED)
    yield lambda value: host.machine.sysctl(**{_BRIDGED: value})
    host.machine.sysctl(**{_BRIDGED: before})


@pytest.mark.fact("brphys.security")
def test_unpublished_ports_are_open_to_the_lan(
    host: Host, client: Vantage, act: Act, claim: Claim, set_bridged: SetBridged
) -> None:
    """Any machine of the LAN reaches unpublished ports of a container on br0, whether or not iptables sees the frames.

    [box] ── br0 of host ── lan ── client
    """
    box = host.container("box")
    listen(box.vantage, _PORT)
    listen(box.vantage, _PORT, protocol="udp")
    near = ask(icmp(client, host.address))
    claim.control(equal("published ports of the container", box.ports, [], vantage=box.name, control=True))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        set_bridged("1")
        filtered = _asked(client, box)
        set_bridged("0")
        bridged = _asked(client, box)

    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in (*filtered, *bridged)),
        *(source_is(answer, client.machine.address) for answer in (*filtered, *bridged)),
    )


def _asked(client: Vantage, box: Container) -> list[Answer]:
    return ask(tcp(client, box.address, _PORT, timeout_s=1.0), udp(client, box.address, _PORT, timeout_s=1.0))


flags("brphys.security", "--icc=false")


@strike("brphys.security", "the bridge parts the container from the interface")
def _(stage: Stage) -> None:
    veth = other_end(interface(stage.container("box").vantage, "eth0"), stage.host.vantage)
    for name in (veth.name, stage.host.machine.interface()):
        stage.host.vantage.run(f"bridge link set dev {name} isolated on")
