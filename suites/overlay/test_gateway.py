"""docker_gwbridge: the bridge by which containers on overlays get out, each host's own."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import Link, interface, links, other_end, output, routes, rules
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen

pytestmark = pytest.mark.usefixtures("swarm")

_BRIDGE = "docker_gwbridge"
_PORT = 8080


@pytest.mark.fact("swarm.two-nics")
def test_container_on_an_overlay_gets_out_by_a_second_interface(host: Host, act: Act, claim: Claim) -> None:
    """A container on an overlay has an interface and its default route on docker_gwbridge, too; if internal, neither.

    mesh ══[ box ]── docker_gwbridge: host        inner ══[ shut ]
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    inner = host.network("inner", driver="overlay", attachable=True, internal=True)
    box, shut = host.container("box", network=mesh), host.container("shut", network=inner)

    with act:
        bridge = interface(host.vantage, _BRIDGE)
        (gateway,) = bridge.ipv4
        inside = {container.name: _up(container) for container in (box, shut)}
        # Another network's end lies in the overlay's own namespace, out of the host's sight.
        masters = [other_end(link, host.vantage).master for link in _within(inside[box.name], str(gateway.network))]
        defaults = {container.name: _default(container) for container in (box, shut)}
        for container in (box, shut):
            claim.show(f"ip addr in {container.name}", output(container.vantage, "ip", "addr"))
            claim.show(f"ip route in {container.name}", output(container.vantage, "ip", "route"))

    devices = [link.name for link in _within(inside[box.name], str(gateway.network))]
    claim.judge(
        equal(
            f"networks that interfaces of {box.name} are in",
            _networks(inside[box.name]),
            {mesh.subnet, str(gateway.network)},
        ),
        equal(f"bridge that its interface in {gateway.network} ends at", masters, [_BRIDGE]),
        equal("its default route", defaults[box.name], [f"via {gateway.ip} dev {device}" for device in devices]),
        equal(
            f"networks that interfaces of {shut.name} are in, on the internal one",
            _networks(inside[shut.name]),
            {inner.subnet},
        ),
        equal("its default route, there", defaults[shut.name], []),
    )


def _up(container: Container) -> list[Link]:
    return [link for link in links(container.vantage) if link.up and link.name != "lo"]


def _networks(found: list[Link]) -> set[str]:
    return {str(end.network) for link in found for end in link.ipv4}


def _within(found: list[Link], subnet: str) -> list[Link]:
    return [link for link in found if subnet in _networks([link])]


def _default(container: Container) -> list[str]:
    return [f"via {one.gateway} dev {one.device}" for one in routes(container.vantage) if one.destination == "default"]


@tamper("swarm.two-nics", "the engine ignores --internal")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"internal": False}


@tamper("swarm.two-nics", "the engine makes every overlay internal")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"internal": True}


@strike("swarm.two-nics", "the container's default route is taken away")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip route del default")


@strike("swarm.two-nics", "the container's end on docker_gwbridge is taken off it")
def _(stage: Stage) -> None:
    bridge = str(interface(stage.host.vantage, _BRIDGE).ipv4[0].network)
    (link,) = _within(_up(stage.container("box")), bridge)
    stage.host.vantage.run(f"ip link set {other_end(link, stage.host.vantage).name} nomaster")


@pytest.mark.fact("swarm.gwbridge-icc")
def test_containers_are_apart_on_docker_gwbridge(host: Host, act: Act, claim: Claim) -> None:
    """Containers of one host don't reach each other at their addresses on docker_gwbridge; over the overlay they do.

    [ box ]══ mesh ══[ web ]
       └─ docker_gwbridge ─┘
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, box = host.container("web", network=mesh), host.container("box", network=mesh)
    for container in (web, box):
        listen(container.vantage, _PORT)

    with act:
        subnet = str(interface(host.vantage, _BRIDGE).ipv4[0].network)
        there = {container.name: _address(container, subnet) for container in (web, box)}
        over = ask(
            tcp(box.vantage, web.address_on(mesh.name), _PORT), tcp(web.vantage, box.address_on(mesh.name), _PORT)
        )
        beneath = ask(tcp(box.vantage, there[web.name], _PORT), tcp(web.vantage, there[box.name], _PORT))
        own = ask(tcp(host.vantage, there[web.name], _PORT))
        claim.show("FORWARD and the engine's chains", rules(host.engine).text("filter"))

    claim.show("addresses on docker_gwbridge", "\n".join(f"{name}: {address}" for name, address in there.items()))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in (*over, *own)))
    claim.judge(*(seen(answer, Outcome.TIMED_OUT) for answer in beneath))


def _address(container: Container, subnet: str) -> str:
    """The address that a container has in a subnet.

    Raises: ValueError where it has none, or several.
    """
    (address,) = [str(end.ip) for link in links(container.vantage) for end in link.ipv4 if str(end.network) == subnet]
    return address


@strike("swarm.gwbridge-icc", "the host passes all between the ports of docker_gwbridge, as with icc=true")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -I FORWARD -i {_BRIDGE} -o {_BRIDGE} -j ACCEPT")
