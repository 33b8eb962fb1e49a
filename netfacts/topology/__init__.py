"""What a check builds on an engine: networks, endpoints, containers, published ports. Built here, never judged."""

from netfacts.topology.container import Container, PortBinding
from netfacts.topology.host import Host
from netfacts.topology.network import Network

__all__ = ["Container", "Host", "Network", "PortBinding"]
