"""What a container on the default bridge is given, and when."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import bridge_ports, interface, output, routes
from netfacts.topology import Host
from netfacts.verdict import equal

_BRIDGE = "docker0"


@pytest.mark.fact("ipam.sequence-of-start")
def test_container_is_wired_when_it_starts(host: Host, act: Act, claim: Claim) -> None:
    """A veth on docker0, eth0, an address and a default route are made when a container starts, not when created."""
    others = bridge_ports(host.vantage, _BRIDGE)
    box = host.container("box", start=False)

    with act:
        box.refresh()
        created, address = bridge_ports(host.vantage, _BRIDGE, besides=others), box.address_on("bridge")
        host.start(box)
        started = bridge_ports(host.vantage, _BRIDGE, besides=others)
        (docker0,), eth0 = interface(host.vantage, _BRIDGE).ipv4, interface(box.vantage, "eth0")
        ways = [(route.gateway, route.device) for route in routes(box.vantage) if route.destination == "default"]
        claim.show(
            "ip link show master docker0, on the host", output(host.vantage, "ip", "link", "show", "master", _BRIDGE)
        )
        claim.show("ip addr in the container", output(box.vantage, "ip", "addr"))
        claim.show("ip route in the container", output(box.vantage, "ip", "route"))

    claim.judge(
        equal("new ports of docker0 after docker create", [port.name for port in created], [], vantage=host.vantage),
        equal("address that docker inspect shows then", address, ""),
        equal(
            "new ports of docker0 after docker start",
            [(port.kind, port.index) for port in started],
            [("veth", eth0.peer_index)],
            vantage=host.vantage,
        ),
        equal("subnets on eth0", [end.network for end in eth0.ipv4], [docker0.network], vantage=box.name),
        equal("default routes", ways, [(str(docker0.ip), "eth0")], vantage=box.name),
    )


@strike("ipam.sequence-of-start", "a veth is a port of docker0 when the container has only been created")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip link add stray0 type veth peer name stray1")
    stage.host.vantage.run(f"ip link set stray0 master {_BRIDGE}")


@strike("ipam.sequence-of-start", "the engine names an address of a container that was only created")
def _(stage: Stage) -> None:
    def early(said: Any) -> Any:
        endpoint = said["NetworkSettings"]["Networks"]["bridge"]
        endpoint["IPAddress"] = endpoint.get("IPAddress") or "203.0.113.9"
        return said

    stage.forge(f"/containers/{stage.container('box').id}/json", early)


@strike("ipam.sequence-of-start", "the engine leaves the host's end off docker0")
def _(stage: Stage) -> None:
    def leave(said: object) -> object:
        stage.container("box").refresh()
        for port in bridge_ports(stage.host.vantage, _BRIDGE):
            stage.host.vantage.run(f"ip link set {port.name} nomaster")
        return said

    stage.forge("/start", leave)


@strike("ipam.sequence-of-start", "the engine sets no default route")
def _(stage: Stage) -> None:
    _undo_at_start(stage, "ip route del default")


@strike("ipam.sequence-of-start", "the engine gives no address")
def _(stage: Stage) -> None:
    _undo_at_start(stage, "ip addr flush dev eth0")


def _undo_at_start(stage: Stage, command: str) -> None:
    def undo(said: object) -> object:
        box = stage.container("box")
        box.refresh()
        box.vantage.run(command)
        return said

    stage.forge("/start", undo)
