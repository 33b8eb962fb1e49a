"""Readers: what is there, as the kernel and the firewall tools tell it. Read here, never changed and never judged."""

from netfacts.observe.api import Reply, fetch
from netfacts.observe.capture import Capture, Packet, capture
from netfacts.observe.firewall import Rule, Ruleset, nft_ruleset, rules
from netfacts.observe.link import (
    Link,
    Route,
    bridge_ports,
    gone,
    interface,
    links,
    neighbours,
    other_end,
    routes,
    statistics,
)
from netfacts.observe.named import named
from netfacts.observe.output import output
from netfacts.observe.overlay import Remote, remotes
from netfacts.observe.process import Process, Socket, capabilities, namespaces, processes, serving, sockets
from netfacts.observe.sysctl import ephemeral_ports, sysctl

__all__ = [
    "Capture",
    "Link",
    "Packet",
    "Process",
    "Remote",
    "Reply",
    "Route",
    "Rule",
    "Ruleset",
    "Socket",
    "bridge_ports",
    "capabilities",
    "capture",
    "ephemeral_ports",
    "fetch",
    "gone",
    "interface",
    "links",
    "named",
    "namespaces",
    "neighbours",
    "nft_ruleset",
    "other_end",
    "output",
    "processes",
    "remotes",
    "routes",
    "rules",
    "serving",
    "sockets",
    "statistics",
    "sysctl",
]
