"""A crowd of containers: so many, spread over the hosts of a lab and over networks, each with its place in a matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Network

import msgspec

from netfacts.lab import Vantage, of_machine
from netfacts.model.errors import UsageError
from netfacts.model.lab import LabSpec
from netfacts.model.matrix import Kind, Station
from netfacts.topology.container import Container
from netfacts.topology.host import Host
from netfacts.topology.live import LiveLab
from netfacts.topology.network import Network

INSIDE = 7000
"""The port of a container that it publishes."""
_FIRST = 20000
# A share for each of 16 hosts. Left alone all engines take the same subnets, and an address of one host's container
# would be that of another's on the next.
_SHARES = list(IPv4Network("172.16.0.0/12").subnets(new_prefix=16))
# The subnets of users' bridge networks, in the second half of a share.
_SIZE = 22


@dataclass(frozen=True)
class Member:
    """A station of the crowd, and where it asks from. It is to listen on `port`, 0 for any, at `listens`."""

    station: Station
    vantage: Vantage
    listens: str = "0.0.0.0"
    port: int = 0


def apart(spec: LabSpec) -> LabSpec:
    """Give a lab whose engines take their subnets from shares of their own."""
    shares = iter(_SHARES)
    machines = [
        msgspec.structs.replace(machine, flags=(*machine.flags, *_pools(next(shares)))) if machine.engine else machine
        for machine in spec.machines
    ]
    return msgspec.structs.replace(spec, machines=tuple(machines))


def _pools(share: IPv4Network) -> tuple[str, ...]:
    own, pools = list(share.subnets(prefixlen_diff=1))
    bridge = next(own.subnets(new_prefix=20))
    return f"--bip={bridge[1]}/{bridge.prefixlen}", f"--default-address-pool=base={pools},size={_SIZE}"


def require_subnets(kinds: Sequence[Kind]) -> None:
    """Raises: UsageError for more bridge networks of users' than a host that `apart` gave has subnets for."""
    # In a swarm docker_gwbridge takes one.
    there = 2 ** (_SIZE - _SHARES[0].prefixlen - 1) - (Kind.OVERLAY in kinds)
    asked = kinds.count(Kind.USER) + kinds.count(Kind.INTERNAL)
    if asked > there:
        raise UsageError(
            f"a host has subnets for {there} bridge networks, and not for {asked}",
            remedy="give fewer of --network user and --network internal",
        )


def labels(kinds: Sequence[Kind]) -> list[str]:
    """Tell networks of one kind apart: the second of kind `user` is `user-2`."""
    seen: Counter[Kind] = Counter()
    found = []
    for kind in kinds:
        seen[kind] += 1
        found.append(kind.value if seen[kind] == 1 else f"{kind.value}-{seen[kind]}")
    return found


def gather(
    live: LiveLab, kinds: Sequence[Kind], count: int, *, publish: bool = False, routes: bool = False
) -> list[Member]:
    """Build so many containers in a lab that `apart` gave, and give these, the hosts and the client.

    The first container is on the first host, the second on the second; when each has one on the first network, the
    second comes. `publish` has each publish a TCP and a UDP port where it can; `routes` gives all machines routes to
    the bridge networks of the hosts.

    Raises: EngineError, LabError.
    """
    if routes:
        _lead(live)
    hosts = [Host(engine, check="matrix") for engine in live.engines.values()]
    if Kind.OVERLAY in kinds:
        live.swarm()
    overlays = {
        label: hosts[0].network(label, name=label, driver="overlay", attachable=True)
        for label, kind in zip(labels(kinds), kinds, strict=True)
        if kind is Kind.OVERLAY
    }

    def fill(index: int) -> list[tuple[int, Member]]:
        builder = _Builder(hosts[index], overlays, publish=publish)
        made = []
        for number in range(index, count, len(hosts)):
            place = number // len(hosts) % len(kinds)
            made.append((number, builder.member(number, labels(kinds)[place], kinds[place])))
        return made

    with ThreadPoolExecutor(len(hosts)) as pool:
        filled = [pool.submit(fill, index) for index in range(len(hosts))]
        found = [pair for future in filled for pair in future.result()]
    machines = [machine for machine in live.lab.machines.values() if machine.spec.role in ("engine", "client")]
    members = [
        Member(
            Station(
                name=machine.name,
                machine=machine.name,
                host_address=machine.address,
                address=machine.address,
                known_as=f"{machine.name}.lab",
            ),
            of_machine(machine),
            # Of several addresses it would answer UDP from the nearest, which nobody has asked.
            listens=machine.address,
        )
        for machine in machines
    ]
    return [*members, *(member for _, member in sorted(found, key=lambda pair: pair[0]))]


def _lead(live: LiveLab) -> None:
    """Give every machine routes to the shares of the hosts that are beside it; from others the router knows them."""
    shares = dict(zip(live.engines, map(str, _SHARES), strict=False))
    for name, share in shares.items():
        segment = live.lab.spec.machine(name).ports[0].segment
        for machine in live.lab.machines.values():
            beside = segment in {port.segment for port in machine.spec.ports}
            if machine.name != name and beside:
                machine.route(share, live.lab[name].address)


class _Builder:
    """Builds what is on one host."""

    def __init__(self, host: Host, overlays: dict[str, Network], *, publish: bool) -> None:
        self._host = host
        self._networks = dict(overlays)
        self._publish = publish

    def member(self, number: int, label: str, kind: Kind) -> Member:
        """Build the container of this number."""
        port = _FIRST + number if self._publish and kind not in (Kind.HOST, Kind.INTERNAL) else 0
        bound = {f"{INSIDE}/{protocol}": port for protocol in ("tcp", "udp")} if port else {}
        container = self._container(f"box{number + 1}", label, kind, bound)
        address = self._host.address if kind is Kind.HOST else self._address(container)
        station = Station(
            name=f"box{number + 1}",
            machine=self._host.name,
            host_address=self._host.address,
            address=address,
            known_as=container.name,
            network=label,
            kind=kind,
            port=port,
        )
        return Member(station, container.vantage, address if kind is Kind.HOST else "0.0.0.0", INSIDE if port else 0)

    def _container(self, role: str, label: str, kind: Kind, bound: dict[str, int]) -> Container:
        if kind in (Kind.BRIDGE, Kind.HOST):
            return self._host.container(role, name=role, mode=kind.value, publish=bound)
        if label not in self._networks:
            self._networks[label] = self._host.network(label, name=label, internal=kind is Kind.INTERNAL)
        return self._host.container(role, name=role, network=self._networks[label], publish=bound)

    def _address(self, container: Container) -> str:
        # On an overlay with a published port the first of its networks may be docker_gwbridge.
        (name,) = {name for name in container.networks if name != "docker_gwbridge"}
        return container.address_on(name)
