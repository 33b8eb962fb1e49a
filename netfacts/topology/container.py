"""Containers as built."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from netfacts.engine import Engine
from netfacts.engine.answer import answer_of
from netfacts.lab import Vantage, of_process
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError
from netfacts.run import Finished
from netfacts.topology.inspected import InspectedContainer


@dataclass(frozen=True)
class PortBinding:
    """A published port as the engine reports it."""

    protocol: str
    container_port: int
    host_address: str
    host_port: int

    def __str__(self) -> str:
        where = f"[{self.host_address}]" if ":" in self.host_address else self.host_address
        return f"{self.container_port}/{self.protocol} -> {where}:{self.host_port}"


class _Late(EngineError):
    """It did not end in time."""


@dataclass
class Container:
    """A container that a check made. What the engine said of it is kept until `refresh`."""

    engine: Engine = field(repr=False)
    id: str
    name: str
    warnings: tuple[str, ...] = field(default=(), repr=False)
    """What the engine warned of as it created it."""
    said: dict[str, Any] = field(default_factory=dict, repr=False)
    netns: int = field(default=0, repr=False)
    """Inode of its network namespace."""
    _vantages: dict[int, Vantage] = field(default_factory=dict, repr=False)
    """What `vantage` gave, by the first process that it was given for."""

    def refresh(self) -> None:
        """Ask the engine again.

        Raises: EngineError where it does not say what it should.
        """
        self.said = answer_of(
            self.engine,
            f"inspect container {self.name}",
            lambda: self.engine.api.inspect_container(self.id),
            like=InspectedContainer,
        )
        if self.pid:
            # A process that ends at once may have gone by now.
            self.netns = self.engine.machine.inode(f"/proc/{self.pid}/ns/net") or self.netns

    @property
    def pid(self) -> int:
        """Its first process, in the machine's PID namespace; 0 while it does not run."""
        return int(self.said["State"]["Pid"])

    @property
    def vantage(self) -> Vantage:
        """Probes from inside it.

        Raises: EngineError while it does not run.
        """
        if not self.pid:
            raise EngineError(f"container {self.name} does not run", returned=self.logs())
        if self.pid not in self._vantages:
            self._vantages[self.pid] = of_process(self.engine.machine, self.pid, self.name)
        return self._vantages[self.pid]

    def move(self, pid: int) -> None:
        """Let the vantage that was given for the process `pid` follow to the container's first process of now.

        Raises: ProbeError where what was opened there can't be opened again.
        """
        if pid in self._vantages and pid != self.pid:
            self._vantages[self.pid] = moved = self._vantages.pop(pid)
            moved.move(self.pid)

    @property
    def mode(self) -> str:
        """Its network mode as the engine reports it: `default`, `bridge`, `host`, `container:ID`, a network's name."""
        return str(self.said["HostConfig"]["NetworkMode"])

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        """Its endpoints by network name, as the engine reports them."""
        networks: dict[str, dict[str, Any]] = self.said["NetworkSettings"]["Networks"]
        return networks

    @property
    def address(self) -> str:
        """Its IPv4 address on its first network that gives it one.

        Raises: EngineError where it has none.
        """
        for endpoint in self.networks.values():
            if endpoint.get("IPAddress"):
                return str(endpoint["IPAddress"])
        raise EngineError(f"container {self.name} has no address", returned=str(self.networks))

    @property
    def address6(self) -> str:
        """Its IPv6 address on its first network that gives it one.

        Raises: EngineError where it has none.
        """
        for endpoint in self.networks.values():
            if endpoint.get("GlobalIPv6Address"):
                return str(endpoint["GlobalIPv6Address"])
        raise EngineError(f"container {self.name} has no IPv6 address", returned=str(self.networks))

    def address_on(self, network: str) -> str:
        """Its IPv4 address on the network of this name, "" where it has none."""
        return str(self.networks.get(network, {}).get("IPAddress", ""))

    @property
    def ports(self) -> list[PortBinding]:
        """Its published ports, as the engine reports them; host port 0 where the gateway mode leaves it out."""
        published = (self.said["NetworkSettings"]["Ports"] or {}).items()
        return [
            PortBinding(
                key.partition("/")[2], int(key.partition("/")[0]), binding["HostIp"], int(binding["HostPort"] or 0)
            )
            for key, bindings in published
            for binding in bindings or ()
        ]

    def host_port(self, container_port: int, protocol: str = "tcp") -> int:
        """The host port that this container port is published on.

        Raises: EngineError where it is not published.
        """
        for binding in self.ports:
            if (binding.container_port, binding.protocol) == (container_port, protocol):
                return binding.host_port
        raise EngineError(
            f"container {self.name} does not publish {container_port}/{protocol}", returned=str(self.ports)
        )

    def logs(self) -> str:
        """What its first process has printed.

        Raises: EngineError.
        """
        printed: bytes = answer_of(
            self.engine, f"give the log of {self.name}", lambda: self.engine.api.logs(self.id, tail=50), like=bytes
        )
        return printed.decode(errors="replace")

    @property
    def state(self) -> str:
        """Its state as the engine reports it, and its exit status: "exited 1", "running 0"."""
        state = self.said["State"]
        return f"{state['Status']} {state['ExitCode']}"

    def ended(self, *, timeout_s: float = 5.0) -> bool:
        """Wait for its first process to end; False where it still runs after `timeout_s`."""
        with contextlib.suppress(_Late):
            return until(self._has_ended, what=f"{self.name} to end", timeout_s=timeout_s, error=_Late)
        return False

    def _has_ended(self) -> bool:
        self.refresh()
        return self.said["State"]["Status"] in ("exited", "dead")

    def run(self, *argv: str) -> Finished:
        """Run a program in it, by way of the engine (`docker exec`): slow, for where that is the point.

        Raises: EngineError with the engine's words.
        """
        attempt = f"run {argv[0]} in {self.name}"
        status, out = answer_of(self.engine, attempt, lambda: self._execute(argv), like=tuple[int, bytes])
        return Finished(argv, status, out.decode(errors="replace"), "")

    def _execute(self, argv: Sequence[str]) -> tuple[int, bytes]:
        api = self.engine.api
        created = api.exec_create(self.id, list(argv))
        out: bytes = api.exec_start(created["Id"])
        return api.exec_inspect(created["Id"])["ExitCode"], out
