"""The VMs of a session, booted when they are first asked for and ended together."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from selftests.vm.image import Image
from selftests.vm.machine import Segment, VirtualMachine

# The outside client: dockerd is not started on it.
_WITHOUT_ENGINE = {"client"}


class Rack:
    """VMs on one segment, in one folder. Undo: they end."""

    def __init__(self, image: Image, folder: Path) -> None:
        self.image, self.folder, self.segment = image, folder, Segment()
        self._machines: dict[str, VirtualMachine] = {}
        self._ready: set[str] = set()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start(self, name: str) -> VirtualMachine:
        """Give a VM that is there, or is being booted."""
        if name not in self._machines:
            machine = VirtualMachine(name, self.image, self.folder, self.segment, name not in _WITHOUT_ENGINE)
            self._stack.callback(machine.close)
            self._machines[name] = machine
        return self._machines[name]

    def get(self, *names: str) -> tuple[VirtualMachine, ...]:
        """Give VMs that have booted, side by side where they had not yet."""
        machines = tuple(self.start(name) for name in names)
        for machine in machines:
            if machine.name not in self._ready:
                machine.ready()
                self._ready.add(machine.name)
        return machines
