"""Labs as declared: machines, segments, and the shapes that facts ask for."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

import msgspec


class SegmentSpec(msgspec.Struct, frozen=True):
    """An L2 wire between machines."""

    name: str
    ipv4: IPv4Network
    ipv6: IPv6Network

    def interface(self, number: int) -> tuple[IPv4Interface, IPv6Interface]:
        """Give the addresses of the machine with this number on the segment."""
        return (
            IPv4Interface(f"{self.ipv4[number]}/{self.ipv4.prefixlen}"),
            IPv6Interface(f"{self.ipv6[number]}/{self.ipv6.prefixlen}"),
        )


class PortSpec(msgspec.Struct, frozen=True):
    """A machine's interface on a segment: `ethN`, in the order of the machine's ports.

    With a `bridge` it is a port of this bridge of the machine's, and the addresses are the bridge's. One that is there
    already, on a network of somebody's, is named by `nic`, and has the addresses `own`.
    """

    segment: str
    number: int
    nic: str = ""
    own: tuple[IPv4Interface | IPv6Interface, ...] = ()
    bridge: str = ""


class MachineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A machine: where an engine or a plain client lives. `gateway` names the machine that routes for it.

    `flags` are those that its engine is started with in every lab of the shape; a check may add others, and of one flag
    the last value counts. On a `store` a check may have one that its engines share; nothing runs there before.
    """

    name: str
    ports: tuple[PortSpec, ...]
    engine: bool = False
    flags: tuple[str, ...] = ()
    router: bool = False
    resolver: bool = False
    store: bool = False
    gateway: str = ""

    @property
    def role(self) -> str:
        """`engine`, `router`, `resolver`, `store` or `client`."""
        marks = {"engine": self.engine, "router": self.router, "resolver": self.resolver, "store": self.store}
        return next((role for role, marked in marks.items() if marked), "client")


class LabSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A lab as declared. `name` is the shape that a fact's `lab` names."""

    name: str
    segments: tuple[SegmentSpec, ...]
    machines: tuple[MachineSpec, ...]

    def segment(self, name: str) -> SegmentSpec:
        """Give the segment of this name."""
        return next(segment for segment in self.segments if segment.name == name)

    def machine(self, name: str) -> MachineSpec:
        """Give the machine of this name."""
        return next(machine for machine in self.machines if machine.name == name)

    def interfaces(self, port: PortSpec) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """Give the addresses of a port, IPv4 first."""
        return port.own or self.segment(port.segment).interface(port.number)

    def addresses(self, machine: str, *, segment: str = "") -> tuple[IPv4Address | IPv6Address, ...]:
        """Give a machine's addresses on a segment (its first where none is named), IPv4 first."""
        for port in self.machine(machine).ports:
            if segment in ("", port.segment):
                return tuple(interface.ip for interface in self.interfaces(port))
        raise KeyError(f"{machine} has no port on {segment}")

    def address(self, machine: str, *, segment: str = "") -> IPv4Address:
        """Give a machine's IPv4 address on a segment (its first where none is named)."""
        first = self.addresses(machine, segment=segment)[0]
        assert isinstance(first, IPv4Address)
        return first

    @property
    def made(self) -> tuple[SegmentSpec, ...]:
        """The segments that the lab makes: those to which no machine has an interface already."""
        there = {port.segment for machine in self.machines for port in machine.ports if port.nic}
        return tuple(segment for segment in self.segments if segment.name not in there)

    @property
    def resolver(self) -> IPv4Address:
        """The address of the lab's own DNS server, the first where there are several."""
        return next(self.address(machine.name) for machine in self.machines if machine.resolver)

    def resolver_of(self, machine: str) -> IPv4Address:
        """Give the address of the DNS server that a machine asks: one beside it, or else the first."""
        near = {port.segment for port in self.machine(machine).ports}
        beside = [one for one in self.machines if one.resolver and near & {port.segment for port in one.ports}]
        return self.address(beside[0].name) if beside else self.resolver


# Documentation ranges (RFC 5737, RFC 3849): nothing real can be met by accident.
LAN = SegmentSpec("lan", IPv4Network("198.51.100.0/24"), IPv6Network("2001:db8:1::/64"))
FAR = SegmentSpec("far", IPv4Network("203.0.113.0/24"), IPv6Network("2001:db8:2::/64"))

_RESOLVER = MachineSpec(name="resolver", ports=(PortSpec("lan", 53),), resolver=True)
_HOST = MachineSpec(name="host", ports=(PortSpec("lan", 10),), engine=True)
_HOST2 = MachineSpec(name="host2", ports=(PortSpec("lan", 11),), engine=True)
_CLIENT = MachineSpec(name="client", ports=(PortSpec("lan", 20),))


def _bridged(name: str, number: int, share: str) -> MachineSpec:
    """A host whose interface is a port of br0, and whose engine gives containers addresses of its share of the LAN."""
    return MachineSpec(
        name=name,
        ports=(PortSpec("lan", number, bridge="br0"),),
        engine=True,
        flags=("--bridge=br0", f"--fixed-cidr={share}"),
        gateway="router",
    )


SHAPES = {
    spec.name: spec
    for spec in (
        LabSpec(name="one-host", segments=(LAN,), machines=(_HOST, _RESOLVER)),
        LabSpec(
            name="host-and-outside",
            segments=(LAN,),
            machines=(_HOST, _CLIENT, _RESOLVER),
        ),
        LabSpec(
            name="two-hosts",
            segments=(LAN,),
            machines=(_HOST, _HOST2, _CLIENT, _RESOLVER),
        ),
        LabSpec(
            name="routed",
            segments=(LAN, FAR),
            machines=(
                msgspec.structs.replace(_HOST, gateway="router"),
                MachineSpec(name="router", ports=(PortSpec("lan", 1), PortSpec("far", 1)), router=True),
                MachineSpec(name="client", ports=(PortSpec("far", 20),), gateway="router"),
                msgspec.structs.replace(_RESOLVER, gateway="router"),
            ),
        ),
        LabSpec(
            name="underlay",
            segments=(LAN, FAR),
            machines=(
                _bridged("host", 10, "198.51.100.64/26"),
                _bridged("host2", 11, "198.51.100.128/26"),
                # Not the first of the segment's addresses: engines without a share give that one away.
                MachineSpec(name="router", ports=(PortSpec("lan", 254), PortSpec("far", 254)), router=True),
                msgspec.structs.replace(_CLIENT, gateway="router"),
                msgspec.structs.replace(_RESOLVER, gateway="router"),
            ),
        ),
        LabSpec(
            name="fabric",
            segments=(LAN, FAR),
            machines=(
                msgspec.structs.replace(_HOST, gateway="router"),
                msgspec.structs.replace(_HOST2, gateway="router"),
                MachineSpec(name="host3", ports=(PortSpec("far", 12),), engine=True, gateway="router"),
                MachineSpec(name="router", ports=(PortSpec("lan", 1), PortSpec("far", 1)), router=True),
                MachineSpec(name="store", ports=(PortSpec("lan", 79),), store=True, gateway="router"),
                msgspec.structs.replace(_RESOLVER, gateway="router"),
            ),
        ),
    )
}
"""The fixed shapes by name; also their order, from the most used to the most costly, in which checks are run."""

FEWEST_HOSTS, MOST_HOSTS = 2, 16
MANY = "hosts-N", "routed-hosts-N"
"""How shapes of many hosts are written, N from `FEWEST_HOSTS` to `MOST_HOSTS`."""
_MANY = re.compile(r"(routed-)?hosts-([1-9][0-9]?)")
# Of the many: beyond the numbers of the hosts.
_BESIDE = 40


def hosts(count: int, *, routed: bool = False) -> LabSpec:
    """Give a lab of this many hosts, with an outside client and a DNS server, on one segment.

    `routed`: half of the hosts, and the client, are on a second segment, behind a router:

        host … hostK, resolver ── lan ── router ── far ── hostK+1 … hostN, client

    Raises: ValueError for fewer or more than there can be.
    """
    if not FEWEST_HOSTS <= count <= MOST_HOSTS:
        raise ValueError(f"a lab has {FEWEST_HOSTS} to {MOST_HOSTS} hosts, and not {count}")
    near = (count + 1) // 2 if routed else count
    gateway = "router" if routed else ""

    def machine(number: int) -> MachineSpec:
        segment, place = ("lan", number) if number < near else ("far", number - near)
        name = f"host{number + 1}" if number else "host"
        return MachineSpec(name=name, ports=(PortSpec(segment, 10 + place),), engine=True, gateway=gateway)

    router = MachineSpec(name="router", ports=(PortSpec("lan", 1), PortSpec("far", 1)), router=True)
    client = MachineSpec(name="client", ports=(PortSpec("far" if routed else "lan", _BESIDE),), gateway=gateway)
    return LabSpec(
        name=f"{'routed-' if routed else ''}hosts-{count}",
        segments=(LAN, FAR) if routed else (LAN,),
        machines=(
            *map(machine, range(count)),
            *((router,) if routed else ()),
            client,
            msgspec.structs.replace(_RESOLVER, gateway=gateway),
        ),
    )


def shape(name: str) -> LabSpec:
    """Give the lab of a shape: a fixed one, or one of many hosts.

    Raises: KeyError where no lab is shaped so.
    """
    match = _MANY.fullmatch(name)
    if match and FEWEST_HOSTS <= int(match[2]) <= MOST_HOSTS:
        return hosts(int(match[2]), routed=bool(match[1]))
    return SHAPES[name]


def rank(name: str) -> tuple[int, int]:
    """Give the place of a shape in the order in which checks are run: fixed ones, then many hosts, by their number.

    Raises: KeyError where no lab is shaped so.
    """
    if name in SHAPES:
        return list(SHAPES).index(name), 0
    spec = shape(name)
    return len(SHAPES) + (len(spec.segments) > 1), sum(machine.engine for machine in spec.machines)
