"""What may be built on an engine: all on one of netfacts' own, and on somebody's nothing that would change its host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network

from packaging.version import Version

from netfacts.engine import Engine
from netfacts.lab.visited import destinations, overlapping
from netfacts.model.errors import OffLimits, ProbeError
from netfacts.model.fact import engine_version
from netfacts.topology.network import Network

# Drivers whose containers are on the network of the host's interface.
_ON_THE_WIRE = ("macvlan", "ipvlan")
_INGRESS = "DOCKER-INGRESS"
# What /proc calls this state of a socket.
_LISTENING = "0A"
_CLEAN_ENCRYPTION = Version("24.0.0")
# Options by which a container may change its host.
_RISKY = ("--cap-add", "--privileged", "--device", "--volume", "-v", "--mount", "--pid", "--ipc", "--uts", "--userns")


class Bounds:
    """Refuses, on somebody's engine, what would change the host, or stay there. Every method raises OffLimits."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._machine = engine.machine
        self._subnets: list[str] = []
        """Those that were asked for."""

    def nameservers(self) -> None:
        """The host is to have other nameservers."""
        if not self._engine.private:
            self._refuse("it would change the nameservers of the host")

    def network(self, driver: str, *, subnets: Iterable[str], ipv6: bool, options: Mapping[str, str]) -> None:
        """A network is to be created.

        Raises: OffLimits; ProbeError where the host's routes can't be read.
        """
        if not self._engine.private:
            if ipv6:
                self._forwarding()
            self._free(*subnets)
            if "encrypted" in options:
                self._clean_encryption()
        if driver in _ON_THE_WIRE and any(port.nic for port in self._machine.spec.ports):
            self._refuse("it would give containers addresses on somebody's network")

    def removal(self, network: Network) -> None:
        """A network is to be removed."""
        if network.predefined and not self._engine.private:
            self._refuse(f"it would have the engine remove {network.name}, did that not refuse")

    def container(self, mode: str, *, cap_add: Sequence[str]) -> None:
        """A container is to be created. Whose network a joined one is in, only the engine knows."""
        if mode.partition(":")[0] in ("host", "container") and cap_add and not self._engine.private:
            self._refuse(f"it would give a container {' '.join(cap_add)} in the host's network")

    def typed(self, options: Sequence[str]) -> None:
        """A container is to be created by Docker's client."""
        risky = [option for option in options if option.startswith(_RISKY)]
        if risky and not self._engine.private:
            self._refuse(f"it would create a container with {' '.join(risky)}")

    def ingress(self) -> None:
        """A port of a service is to be published: the engine makes chains for these, which stay."""
        if self._engine.private or self._engine.execute(["iptables", "-t", "nat", "-S", _INGRESS]).exit_status == 0:
            return
        self._refuse(
            f"the engine would make its chain {_INGRESS}, and leave it on the host: no service's port has been"
            " published there yet"
        )

    def parting(self) -> None:
        """The engine is to leave its swarm."""
        if not self._engine.private:
            self._refuse("it would have the engine leave its swarm")

    def ports(self, ports: Iterable[int]) -> None:
        """What answers at TCP ports of the host is counted on to be a container: no program is to serve them."""
        if self._engine.private:
            return
        for port in sorted(set(ports) & _served(self._machine.read("/proc/net/tcp", "/proc/net/tcp6"))):
            self._refuse(f"it needs TCP port {port} of the host, which a program of somebody's serves")

    def alone(self, network: str, others: int) -> None:
        """What is on a network is to be counted."""
        if others:
            self._refuse(f"it counts what is on {network}, and {others} containers of others are")

    def _forwarding(self) -> None:
        """An engine that makes its first network with IPv6 has the whole host forward it, and heed no router's news."""
        if (self._machine.read("/proc/sys/net/ipv6/conf/all/forwarding")[0] or "").strip() != "1":
            self._refuse("the engine would switch IPv6 forwarding on for the whole host")

    def _free(self, *subnets: str) -> None:
        """The host's packets for a network's subnet come to its bridge; the lab's own segments are netfacts'."""
        segments = self._machine.lab.segments if self._machine.spec.ports else ()
        own = [*(str(segment.ipv4) for segment in segments), *self._subnets]
        for subnet in map(ip_network, subnets):
            if overlapping(subnet, own):
                # What comes of that is the check's own affair.
                continue
            said = self._machine.execute(["ip", "-j", f"-{subnet.version}", "route", "show", "table", "all"])
            known = destinations(said.checked("could not read routes", ProbeError).out)
            if taken := overlapping(subnet, known):
                self._refuse(f"it would take {subnet} from what the host has at {taken[0]}")
        self._subnets += subnets

    def _clean_encryption(self) -> None:
        """Older engines leave an encrypted network's rules where they are when it is removed."""
        if engine_version(self._engine.info.version) < _CLEAN_ENCRYPTION:
            self._refuse(
                "the engine would leave rules of an encrypted network on the host, as they all do before "
                f"{_CLEAN_ENCRYPTION} (moby #45343)"
            )

    def _refuse(self, why: str) -> None:
        raise OffLimits(why, where=self._machine.name)


def _served(tables: Sequence[str | None]) -> set[int]:
    """Read the ports that are listened on from the kernel's tables of sockets."""
    rows = [line.split() for table in tables for line in (table or "").splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING}
