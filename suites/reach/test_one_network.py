"""Reachability within a bridge network, and between it and its host."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Observation, Outcome
from netfacts.observe import interface, links, output, rules
from netfacts.probe import Answer, Probe, ask, icmp, listen, tcp, udp
from netfacts.topology import Host, Network
from netfacts.verdict import seen, source_is

_EITHER = pytest.mark.parametrize(
    "find", [Host.predefined, lambda host: host.network("user")], ids=["network=bridge", "network=user"]
)
_Find = Callable[[Host], Network]


def _served(vantage: Vantage) -> list[int]:
    """Open a TCP listener on one port and a UDP one on another: neither published nor exposed."""
    return [listen(vantage, protocol=protocol).port for protocol in ("tcp", "udp")]


def _every(vantage: Vantage, address: str, ports: list[int], **options: Any) -> list[Probe]:
    return [
        icmp(vantage, address, **options),
        tcp(vantage, address, ports[0], **options),
        udp(vantage, address, ports[1], **options),
    ]


def _connected(answers: list[Answer], source: str) -> list[Observation]:
    """All connected; the listeners saw this source address."""
    return [
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(source_is(answer, source) for answer in answers if answer.probe.kind != "icmp"),
    ]


@pytest.mark.fact("icc.same-net-ip")
@pytest.mark.shared
@_EITHER
def test_containers_of_one_network_reach_each_other(host: Host, act: Act, claim: Claim, find: _Find) -> None:
    """Containers on the same bridge network reach each other by IP address, on any port and unpublished."""
    network = find(host)
    web, box = host.container("web", network=network), host.container("box", network=network)
    ports = {web.name: _served(web.vantage), box.name: _served(box.vantage)}

    with act:
        answers = ask(
            *_every(box.vantage, web.address, ports[web.name]), *_every(web.vantage, box.address, ports[box.name])
        )
        claim.show("FORWARD and the engine's chains", rules(host.engine).text("filter"))

    claim.judge(*_connected(answers[:3], box.address), *_connected(answers[3:], web.address))


flags("icc.same-net-ip", "--icc=false")


@tamper("icc.same-net-ip", "networks come with enable_icc=false")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.bridge.enable_icc": "false"}}


@strike("icc.same-net-ip", "one container's veth is taken off the bridge")
def _(stage: Stage) -> None:
    _unplug(stage)


@pytest.mark.fact("icc.gateway")
@pytest.mark.shared
@_EITHER
def test_container_and_gateway_reach_each_other(host: Host, act: Act, claim: Claim, find: _Find) -> None:
    """A container and the gateway of its network, an address of the host, reach each other."""
    network = find(host)
    box = host.container("box", network=network)
    gateway = str(interface(host.vantage, network.bridge).ipv4[0].ip)
    ports = {box.name: _served(box.vantage), host.name: _served(host.vantage)}

    with act:
        answers = ask(
            *_every(box.vantage, gateway, ports[host.name]),
            *_every(host.vantage, box.address, ports[box.name], source=gateway),
        )
        claim.show("INPUT and FORWARD", rules(host.engine).text("filter"))

    claim.judge(*_connected(answers[:3], box.address), *_connected(answers[3:], gateway))


@strike("icc.gateway", "the host drops what comes from its bridges")
def _(stage: Stage) -> None:
    for link in links(stage.host.vantage):
        if link.kind == "bridge":
            stage.host.engine.run(f"iptables -I INPUT -i {link.name} -j DROP")


@pytest.mark.fact("host.pings-container")
@pytest.mark.shared
@_EITHER
def test_host_reaches_containers_at_their_own_addresses(host: Host, act: Act, claim: Claim, find: _Find) -> None:
    """The host reaches its containers at their own addresses, including ports that are not published."""
    network = find(host)
    web = host.container("web", network=network)
    ports = _served(web.vantage)
    gateway = str(interface(host.vantage, network.bridge).ipv4[0].ip)

    with act:
        answers = ask(*_every(host.vantage, web.address, ports))
        claim.show("ip route on the host", output(host.vantage, "ip", "route"))

    claim.judge(*_connected(answers, gateway))


@strike("host.pings-container", "one container's veth is taken off the bridge")
def _(stage: Stage) -> None:
    _unplug(stage)


@strike("host.pings-container", "the host has an unreachable route to the container")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip route add unreachable {stage.container('web').address}")


def _unplug(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    port = next(link for link in links(stage.host.vantage) if link.kind == "veth" and link.master)
    netlink.do("link", "set", index=port.index, master=0)
