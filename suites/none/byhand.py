"""Wiring a container by hand, as the bridge driver does it."""

from __future__ import annotations

from fixtures.sabotage import Stage
from netfacts.lab import Vantage
from netfacts.model.errors import LabError
from netfacts.observe import links


def wire(stage: Stage, role: str = "box") -> None:
    """Give a container a veth on docker0, an address of its subnet, and a default route."""
    host, box = stage.host, stage.container(role)
    name = host.predefined("bridge").bridge
    (bridge,) = [link.ipv4[0] for link in links(host.vantage) if link.name == name]
    address = f"{bridge.network[-2]}/{bridge.network.prefixlen}"
    ip(host.vantage, f"link add byhand type veth peer name eth0 netns {box.pid}", f"link set byhand master {name} up")
    ip(box.vantage, "link set eth0 up", f"addr add {address} dev eth0", f"route add default via {bridge.ip}")


def ip(vantage: Vantage, *lines: str) -> None:
    """Run lines of `ip -batch` in a vantage.

    Raises: LabError.
    """
    done = vantage.machine.execute(["ip", "-batch", "-"], net=vantage.net, text="\n".join(lines) + "\n")
    done.checked("could not change links, addresses or routes", LabError)
