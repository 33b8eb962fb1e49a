"""Where VMs meet: a network that all of them have an interface on, which plays a lab's first segment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, ip_interface
from typing import Any

import msgspec

from netfacts.lab.visited import free_segments
from netfacts.model.errors import UsageError
from netfacts.model.lab import FAR, LAN, LabSpec, MachineSpec, PortSpec, SegmentSpec

_DOCUMENTATION = (LAN.ipv4, FAR.ipv4, IPv4Network("192.0.2.0/24"))
_NEVER = ("docker", "br-", "veth", "nf", "lo")


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
        if all(network in {end.network for end in ends} for ends in others)
    ]
    if not shared:
        on = "\n".join(f"{name}: {' '.join(map(str, ends))}" for name, ends in found.items())
        raise UsageError(
            "the VMs share no IPv4 network",
            returned=on,
            remedy="give each an interface on one private network, as the Vagrantfile does, or visit them one by one",
        )
    chosen = min(shared, key=lambda network: _rank(network, found.values(), preferred))
    ends = {name: next(end for end in ends if end.network == chosen) for name, ends in found.items()}
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


def _interfaces(said: str) -> dict[IPv4Interface | IPv6Interface, str]:
    """A machine's addresses, each with the interface that has it: none of an engine's or of netfacts' own."""
    links: list[dict[str, Any]] = json.loads(said or "[]")
    return {
        ip_interface(f"{one['local']}/{one['prefixlen']}"): str(link["ifname"])
        for link in links
        if not str(link.get("ifname", "lo")).startswith(_NEVER)
        for one in link.get("addr_info") or ()
        if one.get("scope") == "global" and "local" in one and "prefixlen" in one
    }


def _beside(ends: Mapping[IPv4Interface | IPv6Interface, str], nic: str) -> list[IPv6Interface]:
    return [end for end, where in ends.items() if where == nic and isinstance(end, IPv6Interface)]


def _rank(
    network: IPv4Network,
    found: Iterable[Mapping[IPv4Interface | IPv6Interface, str]],
    preferred: Sequence[str],
) -> tuple[bool, bool]:
    addresses = {str(end.ip) for ends in found for end in ends if end.network == network}
    return not (preferred and set(preferred) <= addresses), network not in _DOCUMENTATION
