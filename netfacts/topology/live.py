"""Labs with engines: built together, replaced together, ended together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import MappingProxyType

from netfacts.engine import Engine, Installation
from netfacts.engine.swarm import AS_IT_COMES, SwarmSpec, await_swarm, form_swarm
from netfacts.lab import Lab, Machine
from netfacts.lab.kept import KeptMachine
from netfacts.lab.stamp import remove_cgroups, stamp, thaw_cgroups
from netfacts.model.lab import LabSpec
from netfacts.topology.container import Container
from netfacts.topology.host import Host
from netfacts.topology.standing import Standing
from netfacts.topology.takeover import resume, take_over

_NUMBERS = itertools.count(1)
_NOTHING: Mapping[str, str] = MappingProxyType({})
_EMPTY: Mapping[str, Sequence[Container]] = MappingProxyType({})


class LiveLab:
    """A lab whose engines run. Undo: `close`."""

    private = True
    """Whether its engines end with it, and all that was made on them."""
    reusable = True
    """Whether other checks may use it after the one that has it now, which has to leave it clean."""
    succeeded = False
    """Whether the engines have been replaced."""
    swarming = False
    """Whether the engines have been made a swarm."""

    def __init__(
        self,
        spec: LabSpec,
        installation: Installation,
        *,
        flags: tuple[str, ...] = (),
        successor: Installation | None = None,
        sysctls: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Build it with engines of `installation`, whose place those of `successor` may take.

        `flags` come after those that the lab's own machines have. `sysctls` are kernel parameters that the engines find
        set when they start.

        Raises: LabError, EngineError; nothing is left then.
        """
        self.shape = spec.name
        self.flags = flags
        self.engines: dict[str, Engine] = {}
        self.standing: dict[str, Standing] = {}
        self._successor = successor or installation
        self._stack = ExitStack()
        number = next(_NUMBERS)
        try:
            self.lab = Lab(spec)
            # Cgroup folders can go only when the lab's processes have gone.
            names = {m.name: stamp(f"{number}-{m.name}") for m in self.lab.spec.machines if m.engine}
            for cgroup in names.values():
                self._stack.callback(remove_cgroups, cgroup)
            self._stack.callback(self.lab.close)
            for cgroup in names.values():
                self._stack.callback(thaw_cgroups, cgroup)

            def start(machine: Machine) -> None:
                machine.sysctl(**sysctls)
                cgroup = names[machine.name]
                own = (*machine.spec.flags, *flags)
                self.engines[machine.name] = Engine(machine, installation, flags=own, cgroup=cgroup)

            self.lab.each(start, engines_only=True)
            # In the order of the lab, not in that in which they came up: the last is cleaned first.
            self.engines = {name: self.engines[name] for name in self.lab.machines if name in self.engines}
            self.standing = {name: Standing(engine) for name, engine in self.engines.items()}
        except BaseException:
            self._stack.close()
            raise

    def swarm(self, spec: SwarmSpec = AS_IT_COMES) -> None:
        """Make the engines a swarm, the first its manager, on the first call; see on every one that it stands.

        Raises: EngineError.
        """
        manager, *workers = self.engines.values()
        if self.swarming:
            await_swarm(manager, workers)
        else:
            form_swarm(manager, workers, spec)
            self.swarming = True

    def succeed(self, hosts: Mapping[str, Host], *, resuming: bool = True) -> None:
        """Have the successor take the engines' place, with all that stands on their hosts.

        `resuming`: containers that ran and that no restart policy starts again are started again.

        Raises: EngineError where it does not start, or does not keep what it should.
        """
        everyone = list(hosts.values())
        if self.swarming:
            # A node at a time, the manager first: nodes that come back together may miss each other for a minute.
            manager, *workers = self.engines.values()
            for host in everyone:
                take_over([host], self._successor)
                await_swarm(manager, workers)
        else:
            take_over(everyone, self._successor)
        if resuming:
            resume(everyone)
        self.succeeded = True

    def entrances(self, built: Mapping[str, Sequence[Container]] = _EMPTY) -> list[KeptMachine]:
        """Say how to enter its machines, as many as live, and the containers that were `built` on each, by name."""
        return [
            self._entrance(machine, built.get(name, ()))
            for name, machine in self.lab.machines.items()
            if machine.agent.alive
        ]

    def _entrance(self, machine: Machine, built: Sequence[Container]) -> KeptMachine:
        engine = self.engines.get(machine.name)
        if engine is None:
            return KeptMachine(name=machine.name, pid=machine.agent.pid)
        return KeptMachine(
            name=machine.name,
            pid=machine.agent.pid,
            engine=engine.pid,
            socket=engine.socket,
            path=engine.installation.path,
            containers={container.name: container.pid for container in built},
        )

    def check_alive(self) -> None:
        """Raises: LabError or EngineError where the lab is no longer whole."""
        self.lab.check_alive()
        for engine in self.engines.values():
            engine.check_alive()

    def close(self) -> None:
        """End it."""
        self._stack.close()
