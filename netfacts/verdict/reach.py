"""Who is expected to reach whom: the rules of a matrix, by where stations are, and by facts for the engine's version.

Each rule names the facts that say the same of one pair of stations; where engines differ, the catalogue decides.
"""

from __future__ import annotations

from collections.abc import Callable

from netfacts.model.matrix import Kind, Protocol, Rule, Station, Way
from netfacts.model.verdict import Outcome

Holds = Callable[[str], bool]
"""Says whether a fact is expected to hold on the engine that is asked about."""


def _rule(outcome: Outcome, why: str, *facts: str, also: tuple[Outcome, ...] = ()) -> Rule:
    return Rule(outcome=outcome, also=also, why=why, facts=facts)


# By address.
_ITSELF = _rule(Outcome.CONNECTED, "Everybody reaches its own address.", "none.loopback-works")
_MACHINES = _rule(Outcome.CONNECTED, "Machines have routes to each other.", "remote.host-reachable")
_EGRESS = _rule(
    Outcome.CONNECTED,
    "Containers reach their host and other machines; what leaves a bridge network is masqueraded.",
    "bridge.masquerade-source",
    "isolation.gateway-leak",
)
_NO_DEFAULT_ROUTE = _rule(
    Outcome.UNREACHABLE,
    "A container that is only on an internal network has no default route.",
    "internal.no-default-route",
)
_TO_ITS_BRIDGE = _rule(
    Outcome.CONNECTED,
    "A container on an internal network has a default route here, to its bridge: the host is reached.",
    "internal.no-default-route",
)
_NO_WAY_OUT = _rule(
    Outcome.TIMED_OUT,
    "A container on an internal network has a default route here, and what it sends outside is dropped.",
    "internal.no-default-route",
)
_SAME_NETWORK = _rule(Outcome.CONNECTED, "Containers of one bridge network reach each other.", "icc.same-net-ip")
_OWN_HOST = _rule(Outcome.CONNECTED, "A host reaches its containers at their addresses.", "host.pings-container")
_OWN_INTERNAL = _rule(Outcome.CONNECTED, "A host reaches containers of its internal networks, too.", "internal.reach")
_ISOLATED = _rule(
    Outcome.TIMED_OUT, "Bridge networks of one host are kept apart: packets are dropped.", "isolation.bridges"
)
# Who has no route says so to a sender some times, and then once a second.
_NO_ROUTE = _rule(
    Outcome.UNREACHABLE,
    "Nothing on the way has a route to another host's bridge network.",
    "remote.no-container-addr",
    also=(Outcome.TIMED_OUT,),
)
_UNPUBLISHED = _rule(
    Outcome.TIMED_OUT, "With a route, the host drops what is not for a published port.", "remote.routed-unpublished"
)
_DIRECT = _rule(
    Outcome.CONNECTED,
    "With a route, published ports are reached at the container's address.",
    "remote.routed-published",
)
_NOT_DIRECT = _rule(
    Outcome.TIMED_OUT,
    "Although there is a route, the host drops what is for a container's own address.",
    "remote.routed-published",
)
_SAME_OVERLAY = _rule(Outcome.CONNECTED, "Containers of one overlay reach each other.", "overlay.reach")
_OFF_THE_OVERLAY = _rule(
    Outcome.UNREACHABLE,
    "An overlay's addresses are known on the overlay alone: there is no route to them.",
    "isolation.need-shared-net",
    also=(Outcome.TIMED_OUT,),
)
# By name.
_UNKNOWN_ON_BRIDGE = _rule(
    Outcome.NAME_NOT_FOUND, "On the default bridge no container's name resolves.", "dns.not-default-bridge"
)
_UNKNOWN_TO_MACHINES = _rule(
    Outcome.NAME_NOT_FOUND, "The machines' nameserver does not know names of containers.", "dns.not-default-bridge"
)
_OUT_OF_SCOPE = _rule(
    Outcome.NAME_NOT_FOUND, "A name resolves only for containers that share a user-defined network.", "dns.scope"
)
_NOT_FORWARDED = _rule(
    Outcome.RESOLVER_FAILED,
    "On an internal network no name of the outside gets an answer.",
    "dns.internal-no-forward",
    also=(Outcome.TIMED_OUT,),
)
# By the host's port.
_PUBLISHED = _rule(
    Outcome.CONNECTED, "A published port is reached at the host's address.", "publish.basic", "publish.udp"
)
_PROXIED = _rule(
    Outcome.CONNECTED, "Containers reach what their own host publishes by docker-proxy.", "proxy.udp-source"
)
_FROM_ELSEWHERE = _rule(
    Outcome.TIMED_OUT,
    "What docker-proxy answers containers by UDP comes from another address than they have asked.",
    "proxy.udp-source",
)


def questions(destination: Station) -> list[tuple[Protocol, Way]]:
    """Give what a station is to be asked."""
    own = [(protocol, way) for way in (Way.ADDRESS, Way.NAME) for protocol in Protocol]
    return own + [(protocol, Way.PUBLISHED) for protocol in (Protocol.TCP, Protocol.UDP) if destination.port]


def expected(
    source: Station, destination: Station, protocol: Protocol, way: Way, *, holds: Holds, routes: bool = False
) -> Rule:
    """Say what comes of a question. `routes`: machines have routes to the bridge networks of all hosts."""
    if way is Way.NAME:
        return _by_name(source, destination) or _by_address(source, destination, protocol, holds=holds, routes=routes)
    if way is Way.PUBLISHED:
        return _by_port(source, destination, protocol, holds=holds)
    return _by_address(source, destination, protocol, holds=holds, routes=routes)


def _by_port(source: Station, destination: Station, protocol: Protocol, *, holds: Holds) -> Rule:
    if source.kind is Kind.INTERNAL:
        # Also on the container's own host: what comes from an internal network is led on to the container, and dropped.
        return _NO_DEFAULT_ROUTE if holds("internal.no-default-route") else _NO_WAY_OUT
    if _on_machine(source) or source.machine != destination.machine:
        return _PUBLISHED
    return _FROM_ELSEWHERE if protocol is Protocol.UDP and not holds("proxy.udp-source") else _PROXIED


def _on_machine(station: Station) -> bool:
    """Whether a station has a machine's own network."""
    return station.kind in (None, Kind.HOST)


def _by_address(source: Station, destination: Station, protocol: Protocol, *, holds: Holds, routes: bool) -> Rule:
    same_host = source.machine == destination.machine
    if source == destination:
        return _ITSELF
    if source.network == destination.network and destination.kind is Kind.OVERLAY:
        return _SAME_OVERLAY
    if source.network == destination.network and source.network and same_host and not _on_machine(source):
        return _SAME_NETWORK
    if source.kind is Kind.INTERNAL:
        return _from_inside(source, destination, holds=holds)
    if _on_machine(destination):
        return _MACHINES if _on_machine(source) else _EGRESS
    if destination.kind is Kind.OVERLAY:
        return _OFF_THE_OVERLAY
    if not same_host:
        return _from_afar(destination, protocol, holds=holds) if routes else _NO_ROUTE
    if _on_machine(source):
        return _OWN_INTERNAL if destination.kind is Kind.INTERNAL else _OWN_HOST
    return _ISOLATED


def _from_inside(source: Station, destination: Station, *, holds: Holds) -> Rule:
    """What comes of what leaves an internal network."""
    if holds("internal.no-default-route"):
        return _NO_DEFAULT_ROUTE
    if _on_machine(destination):
        return _TO_ITS_BRIDGE if source.machine == destination.machine else _NO_WAY_OUT
    elsewhere = source.machine != destination.machine or destination.kind is Kind.OVERLAY
    return _NO_ROUTE if elsewhere else _NO_WAY_OUT


def _from_afar(destination: Station, protocol: Protocol, *, holds: Holds) -> Rule:
    """What comes of a packet that a route leads to a container's host."""
    if not destination.port or protocol is Protocol.ICMP:
        return _UNPUBLISHED
    return _DIRECT if holds("remote.routed-published") else _NOT_DIRECT


def _by_name(source: Station, destination: Station) -> Rule | None:
    """Say why a name is not found, None where it is."""
    if destination.kind is None:
        return _NOT_FORWARDED if source.kind is Kind.INTERNAL else None
    if _on_machine(source):
        return _UNKNOWN_TO_MACHINES
    if source.kind is Kind.BRIDGE:
        return _UNKNOWN_ON_BRIDGE
    together = source.kind is Kind.OVERLAY or source.machine == destination.machine
    if source.network == destination.network and together:
        return None
    return _NOT_FORWARDED if source.kind is Kind.INTERNAL else _OUT_OF_SCOPE
