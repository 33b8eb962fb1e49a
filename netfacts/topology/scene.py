"""What stands on a host when a check begins to look: enough to draw it."""

from __future__ import annotations

from netfacts.model.verdict import Scene, SceneContainer, SceneNetwork
from netfacts.topology.container import Container
from netfacts.topology.host import Host


def scene(host: Host) -> Scene:
    """Say what a check has built on a host, with the predefined networks that it uses."""
    networks = {network.name: network for network in host.networks}
    for container in host.containers:
        for name in container.networks:
            if name not in networks and name not in ("host", "none"):
                networks[name] = host.predefined(name)
    return Scene(
        networks=[
            SceneNetwork(
                name=network.name,
                driver=network.driver,
                machine=host.name,
                subnet=network.subnet,
                bridge=network.bridge,
            )
            for network in networks.values()
        ],
        containers=[_drawn(host, container) for container in host.containers],
    )


def _drawn(host: Host, container: Container) -> SceneContainer:
    mode = container.mode
    for other in host.containers:
        if mode == f"container:{other.id}":
            mode = f"container:{other.name}"
    return SceneContainer(
        name=container.name,
        machine=host.name,
        mode=mode,
        networks={name: str(end.get("IPAddress", "")) for name, end in container.networks.items()},
        ports=[
            f"{port.host_address}:{port.host_port}->{port.container_port}/{port.protocol}" for port in container.ports
        ],
    )
