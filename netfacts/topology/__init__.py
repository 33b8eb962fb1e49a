"""What a check builds on an engine: networks, endpoints, containers, published ports. Built here, never judged."""

from netfacts.topology.container import Container, PortBinding
from netfacts.topology.host import Host
from netfacts.topology.live import LiveLab
from netfacts.topology.network import Network
from netfacts.topology.refusal import refusal
from netfacts.topology.scene import scene
from netfacts.topology.service import Service
from netfacts.topology.standing import Standing
from netfacts.topology.takeover import LIVE, resume, take_over

__all__ = [
    "LIVE",
    "Container",
    "Host",
    "LiveLab",
    "Network",
    "PortBinding",
    "Service",
    "Standing",
    "refusal",
    "resume",
    "scene",
    "take_over",
]
