"""Readers: what is there, as the kernel and the firewall tools tell it. Read here, never changed and never judged."""

from netfacts.observe.capture import Capture, Packet, capture
from netfacts.observe.firewall import Rule, Ruleset, nft_ruleset, rules
from netfacts.observe.link import Link, Route, links, routes
from netfacts.observe.process import Process, Socket, namespaces, processes, serving, sockets

__all__ = [
    "Capture",
    "Link",
    "Packet",
    "Process",
    "Route",
    "Rule",
    "Ruleset",
    "Socket",
    "capture",
    "links",
    "namespaces",
    "nft_ruleset",
    "processes",
    "routes",
    "rules",
    "serving",
    "sockets",
]
