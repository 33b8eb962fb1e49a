"""Labs: machines and segments, up together and down together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from netfacts.lab.machine import Machine
from netfacts.lab.site import HERE, Site, Wire
from netfacts.model.errors import LabError, OffLimits
from netfacts.model.lab import LabSpec, MachineSpec, shape


class Lab:
    """A live lab. Its machines have agents, addresses, routes and a DNS server; no engine runs yet.

    Undo: `close`, or the end of this process in whatever way.
    """

    def __init__(
        self,
        spec: LabSpec,
        *,
        make: Callable[[MachineSpec, LabSpec], Machine] = Machine,
        site_of: Callable[[str], Site] = lambda _: HERE,
    ) -> None:
        """Build it; `make` makes a machine, or wires one up that is there already, and `site_of` says where one is.

        Raises: LabError; nothing is left then.
        """
        self.spec = spec
        self.machines: dict[str, Machine] = {}
        self._stack = ExitStack()
        try:
            segments: dict[str, Wire] = {}
            for wire in spec.made:
                (first, *_) = (one for one in spec.machines for port in one.ports if port.segment == wire.name)
                segments[wire.name] = made = site_of(first.name).segment(wire.name)
                self._stack.callback(made.close)
            with ThreadPoolExecutor(len(spec.machines)) as pool:
                started = [pool.submit(make, machine, spec) for machine in spec.machines]
                failures: list[BaseException] = []
                for future in started:
                    error = future.exception()
                    if error is None:
                        machine = future.result()
                        self._stack.callback(machine.close)
                        self.machines[machine.name] = machine
                    else:
                        failures.append(error)
            if failures:
                raise failures[0]
            for machine in self.machines.values():
                machine.wire(segments)
            for machine in self.machines.values():
                machine.settle()
            self._serve_names()
        except BaseException:
            self.close()
            raise

    def _serve_names(self) -> None:
        """Open the lab's DNS server: it knows the machines as NAME.lab, and says NXDOMAIN to everything else."""
        names = {f"{machine.name}.lab": machine.address for machine in self.machines.values() if machine.spec.ports}
        for machine in self.machines.values():
            if machine.spec.resolver:
                for kind in ("dns-udp", "dns-tcp"):
                    machine.agent.call("listen", kind=kind, address="0.0.0.0", port=53, names=names)

    def __getitem__(self, name: str) -> Machine:
        """Give the machine of this name.

        Raises: OffLimits where it is one that a lab of this shape has, and cannot be had here.
        """
        if name in self.machines:
            return self.machines[name]
        known = {machine.name for machine in shape(self.spec.name).machines}
        if name not in known:
            raise KeyError(name)
        if not self.spec.segments:
            raise OffLimits(f"it needs root: machine {name} is a namespace")
        raise OffLimits(f"it needs a machine that plays the {name}, on the network that the others share")

    def check_alive(self) -> None:
        """Raises: LabError where a machine has been lost."""
        for machine in self.machines.values():
            machine.check_alive()

    def each(self, job: Callable[[Machine], object], *, engines_only: bool = False) -> None:
        """Do something on every machine at once.

        Raises: LabError or EngineError, the first that came.
        """
        chosen = [machine for machine in self.machines.values() if machine.spec.engine or not engines_only]
        if not chosen:
            raise LabError(f"lab {self.spec.name} has no such machine")
        with ThreadPoolExecutor(len(chosen)) as pool:
            for future in [pool.submit(job, machine) for machine in chosen]:
                future.result()

    def close(self) -> None:
        """End the lab; last built goes first."""
        self._stack.close()
