"""A machine that is there already, with all that somebody has on it: wired to a lab, and otherwise left alone."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Never, TypeVar

import msgspec

from netfacts.lab.agent import Agent
from netfacts.lab.machine import Machine
from netfacts.lab.site import HERE, Site, Wire
from netfacts.lab.wire import Netlink
from netfacts.model.errors import LabError, OffLimits
from netfacts.model.lab import FAR, LAN, LabSpec, MachineSpec, SegmentSpec

# Documentation first (RFC 5737), then benchmarking (RFC 2544): both never meet anything real.
_IPV4 = (LAN.ipv4, FAR.ipv4, IPv4Network("192.0.2.0/24"), *IPv4Network("198.18.0.0/15").subnets(new_prefix=24))
_IPV6 = IPv6Network("2001:db8::/32")
_Network = TypeVar("_Network", IPv4Network, IPv6Network)


class VisitedMachine(Machine):
    """The machine of a site itself. It gets interfaces on the lab's segments, which go with these."""

    def __init__(self, spec: MachineSpec, lab: LabSpec, *, site: Site = HERE) -> None:
        """Start an agent in its namespaces.

        Raises: LabError.
        """
        self.spec = spec
        self._lab = lab
        self.name = spec.name
        self._prefix = f"nf{secrets.token_hex(3)}p"
        self.agent = Agent(spec.name, guarded=True, site=site)

    def interface(self, number: int = 0) -> str:
        """Give the name of the interface on the machine's port of this number: where it is netfacts', nobody else's."""
        self._require_wires()
        return self.spec.ports[number].nic or f"{self._prefix}{number}"

    @property
    def lab(self) -> LabSpec:
        """The lab that it is part of, as declared.

        Raises: OffLimits where it has no segments, because whoever runs this may not make any.
        """
        self._require_wires()
        return self._lab

    @property
    def addresses(self) -> list[str]:
        """All its addresses by which the lab's other hosts and clients reach it."""
        met = [str(end.ip) for port in self.spec.ports if port.nic for end in port.own]
        return met or super().addresses

    def _require_wires(self) -> None:
        if not self.spec.ports:
            raise OffLimits("it needs root: it would wire the host to a lab", where=self.name)

    @property
    def netlink(self) -> Netlink:
        """Raises: OffLimits."""
        self._refuse("its links, addresses and routes")

    def _parameters(self, name: str) -> dict[str, str]:
        # What machines of netfacts' own have as a default.
        own = {f"net.ipv6.conf.{name}.{key}": "0" for key in ("accept_dad", "disable_ipv6")}
        return super()._parameters(name) | own

    def wire(self, segments: Mapping[str, Wire]) -> None:
        """Plug the machine's ports in, and route to the lab's other segments.

        Raises: OffLimits where one is to be the port of a bridge; LabError.
        """
        self._plug_in(segments)
        near = {port.segment for port in self.spec.ports}
        if self.spec.gateway:
            gateways = self.lab.addresses(self.spec.gateway, segment=self.spec.ports[0].segment)
            for segment in self.lab.segments:
                if segment.name not in near:
                    for prefix, gateway in zip((segment.ipv4, segment.ipv6), gateways, strict=True):
                        self._links.route("add", str(prefix), str(gateway), self.interface())

    def route(self, prefix: str, via: str) -> Never:
        """Raises: OffLimits."""
        self._refuse(f"its route to {prefix}, which would lead to {via}")

    def unroute(self, prefix: str, via: str) -> None:
        """Nothing: none was added."""

    def _refuse(self, what: str) -> Never:
        raise OffLimits(f"it would change {what}", where=self.name)


def unwired(spec: LabSpec) -> LabSpec:
    """Give a lab with nothing but the machine that is visited: all that one can have who may not make namespaces."""
    host = msgspec.structs.replace(next(one for one in spec.machines if one.engine), ports=(), gateway="")
    return msgspec.structs.replace(spec, segments=(), machines=(host,))


def on_free_subnets(spec: LabSpec, taken: Iterable[str]) -> LabSpec:
    """Give a lab whose segments have subnets that overlap none of the prefixes that a machine has routes to.

    Raises: LabError where none is free.
    """
    free = free_segments(taken)
    segments = tuple(SegmentSpec(one.name, *next(free)) for one in spec.segments)
    return msgspec.structs.replace(spec, segments=segments)


def free_segments(taken: Iterable[str]) -> Iterator[tuple[IPv4Network, IPv6Network]]:
    """Give subnets for segments that overlap none of the prefixes `taken`.

    Raises: LabError, in place of the next ones, where none is free.
    """
    used = list(taken)
    return zip(_free(_IPV4, used), _free(_documentation_ipv6(), used), strict=False)


def _documentation_ipv6() -> Iterator[IPv6Network]:
    # From 1 on, as in the labs of machines of netfacts' own.
    subnets = _IPV6.subnets(new_prefix=48)
    return (next(one.subnets(new_prefix=64)) for one in subnets if one.network_address != _IPV6.network_address)


def overlapping(subnet: IPv4Network | IPv6Network, used: Iterable[str]) -> list[str]:
    """Give the prefixes among those `used` that share addresses with a subnet, but for those that lead to the world."""
    found = [ip_network(prefix, strict=False) for prefix in used]
    return [
        str(one) for one in found if one.version == subnet.version and not _is_default(one) and one.overlaps(subnet)
    ]


def _free(candidates: Iterable[_Network], used: list[str]) -> Iterator[_Network]:
    for one in candidates:
        if not overlapping(one, used):
            yield one
    raise LabError("no subnet is free for the lab's segments", remedy="remove a route to a documentation range")


def _is_default(network: IPv4Network | IPv6Network) -> bool:
    """Whether it leads to the world: VPNs have two halves of it."""
    return network.prefixlen < (8 if network.version == 4 else 16)


def destinations(said: str) -> list[str]:
    """Give the destinations in what `ip -j route` printed; `default` is left out."""
    return [entry["dst"] for entry in json.loads(said or "[]") if entry.get("dst", "default") != "default"]
