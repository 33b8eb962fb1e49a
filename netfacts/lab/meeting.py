"""Where VMs meet: a network that all of them have an interface on, which plays a lab's first segment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_interface
from typing import Any

import msgspec

from netfacts.agent.guard import INTERFACE
from netfacts.lab.visited import free_segments
from netfacts.model.errors import UsageError
from netfacts.model.lab import FAR, LAN, LabSpec, MachineSpec, PortSpec, SegmentSpec

_DOCUMENTATION = (LAN.ipv4, FAR.ipv4, IPv4Network("192.0.2.0/24"))
# Interfaces of engines, and of netfacts' own.
_NEVER = re.compile(rf"docker\w*|br-[0-9a-f]{{12}}|veth\w+|{INTERFACE.pattern}")
# Of an IPv6 address: whoever asks for it may get another answer soon.
_PASSING = ("temporary", "deprecated", "tentative", "dadfailed")


_Ends = Mapping[IPv4Interface | IPv6Interface, str]
"""A machine's addresses, each with its interface."""


class Meeting(msgspec.Struct, frozen=True):
    """A network of several machines: the segment that it plays, and each machine's port on it, by name."""

    segment: SegmentSpec
    ports: Mapping[str, PortSpec]

    def plays_in(self, spec: LabSpec) -> bool:
        """Say whether a lab of this shape has its wire between machines that meet here, and no further one."""
        others = {machine.name for machine in spec.machines if not machine.resolver} - {spec.machines[0].name}
        return len(spec.segments) == 1 and bool(others & self.ports.keys())

    def lab(self, spec: LabSpec, taken: Iterable[str]) -> LabSpec:
        """Give a lab of this shape on this network, without the machines that are missing here.

        Nobody's addresses are taken on it: a DNS server stands beside each engine, on a segment of its own that is none
        of the prefixes `taken`.

        Raises: LabError where no subnet is free.
        """
        machines: list[MachineSpec] = []
        segments = [self.segment]
        free = free_segments(taken)
        for machine in spec.machines:
            if machine.name not in self.ports:
                continue
            ports = [self.ports[machine.name]]
            if machine.engine:
                beside = SegmentSpec(f"beside-{machine.name}", *next(free))
                ports.append(PortSpec(beside.name, 10))
                segments.append(beside)
                name = "resolver" if machine is spec.machines[0] else f"resolver-{machine.name}"
                machines.append(MachineSpec(name=name, ports=(PortSpec(beside.name, 53),), resolver=True))
            machines.append(msgspec.structs.replace(machine, ports=tuple(ports)))
        return msgspec.structs.replace(spec, segments=tuple(segments), machines=tuple(machines))


def meet(said: Mapping[str, str], preferred: Sequence[str] = ()) -> Meeting:
    """Find the network on which machines meet, from what `ip -j address` says on each, by name.

    Where they share several, it is one on which they have the addresses `preferred`, or else one for documentation.

    Raises: UsageError where they share none.
    """
    found = {name: _interfaces(text) for name, text in said.items()}
    first, *others = found.values()
    shared = [
        network
        for network in dict.fromkeys(end.network for end in first if isinstance(end, IPv4Interface))
        if all(network in {end.network for end in ends} for ends in others) and _is_wire(network, found.values())
    ]
    if not shared:
        on = "\n".join(f"{name}: {' '.join(map(str, ends))}" for name, ends in found.items())
        raise UsageError(
            "the VMs share no IPv4 network",
            returned=on,
            remedy="give each an interface on one private network, as the Vagrantfile does, or visit them one by one",
        )
    chosen = min(shared, key=lambda network: _rank(network, found.values(), preferred))
    ends = {name: _end_on(chosen, ends, preferred) for name, ends in found.items()}
    ends6 = {name: _beside(found[name], found[name][end]) for name, end in ends.items()}
    subnets6 = set.intersection(*({end.network for end in ends} for ends in ends6.values()))
    subnet6 = min(subnets6, default=None)
    return Meeting(
        SegmentSpec("lan", chosen, subnet6 or LAN.ipv6),
        {
            name: PortSpec(
                "lan",
                int(end.ip) - int(chosen.network_address),
                found[name][end],
                (end, *(end6 for end6 in ends6[name] if end6.network == subnet6)),
            )
            for name, end in ends.items()
        },
    )


def _interfaces(said: str) -> _Ends:
    """A machine's addresses but those of an engine's or netfacts' own interfaces."""
    links: list[dict[str, Any]] = json.loads(said or "[]")
    return {
        ip_interface(f"{one['local']}/{one['prefixlen']}"): str(link["ifname"])
        for link in links
        if not _NEVER.fullmatch(str(link.get("ifname", "")))
        for one in link.get("addr_info") or ()
        if one.get("scope") == "global" and "local" in one and "prefixlen" in one
        if not any(one.get(flag) for flag in _PASSING)
    }


def _is_wire(network: IPv4Network, found: Iterable[_Ends]) -> bool:
    """Whether no two machines have the same address on it: every VirtualBox VM is 10.0.2.15, on a wire of its own."""
    addresses = [end.ip for ends in found for end in ends if end.network == network]
    return len(set(addresses)) == len(addresses)


def _end_on(network: IPv4Network, ends: _Ends, preferred: Sequence[str]) -> IPv4Interface:
    there = [end for end in ends if isinstance(end, IPv4Interface) and end.network == network]
    return min(there, key=lambda end: str(end.ip) not in preferred)


def _beside(ends: _Ends, nic: str) -> list[IPv6Interface]:
    return [end for end, where in ends.items() if where == nic and isinstance(end, IPv6Interface)]


def _rank(
    network: IPv4Network,
    found: Iterable[_Ends],
    preferred: Sequence[str],
) -> tuple[bool, bool]:
    addresses = {str(end.ip) for ends in found for end in ends if end.network == network}
    return not (preferred and set(preferred) <= addresses), network not in _DOCUMENTATION
