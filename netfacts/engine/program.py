"""Programs that labs run besides engines, unpacked from packages of this machine's own suite and kept in the cache.

A program of that name on the machine's own PATH is not taken: what facts are judged by is the same for everybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from netfacts.engine.packaged import Kept, Packaged, held, obstacle
from netfacts.engine.source import PATH
from netfacts.engine.unpack import merge_usr
from netfacts.lab.daemon import Daemon
from netfacts.lab.machine import Machine

__all__ = ["BIRD", "ETCD", "PROGRAMS", "Program", "Unpacked", "obstacle", "ready", "start"]

# Those that enter one root at the same time would share what each writes.
_NUMBERS = count(1)


@dataclass(frozen=True)
class Program(Packaged):
    """A program. `name` is also what facts call it that need it."""

    kind = "program"

    @property
    def package(self) -> str:
        """The package that holds it."""
        return self.main

    @property
    def recipe(self) -> str:
        """A digest of how it is made."""
        return hashlib.sha256(repr((self.packages, self.without)).encode()).hexdigest()

    def complete(self, root: Path) -> None:
        """Nothing but that /bin and its like are links."""
        merge_usr(root)


ETCD = Program("etcd", main="etcd-server", packages=("etcd-server", "etcd-client"))
BIRD = Program("bird", main="bird2", packages=("bird2",))
PROGRAMS: Mapping[str, Program] = {one.spec: one for one in (ETCD, BIRD)}
"""By their specs."""


@dataclass(frozen=True)
class Unpacked(Kept):
    """A program in the cache."""

    program: Program


def ready(program: Program) -> Unpacked:
    """Give a program, which can't be removed from the cache until this process ends; it is unpacked where it is not.

    Raises: EngineError, UsageError where it can't be had.
    """
    return Unpacked(held(program), program)


def start(
    machine: Machine,
    unpacked: Unpacked,
    argv: Sequence[str],
    *,
    log: str,
    environment: Mapping[str, str] | None = None,
) -> Daemon:
    """Start a program in a machine.

    It has a root of its own, of which the machine's /run, /tmp, /proc, /sys and /dev are part; what it writes elsewhere
    nobody else sees. `log` is a file of the machine's, to which what it prints is added; `environment` are further
    variables.

    Undo: see `Daemon`. Raises: LabError where it can't be started; OffLimits where the machine is somebody's.
    """
    root_name = f"program-{unpacked.program.name}-{next(_NUMBERS)}"
    return Daemon(
        machine,
        argv,
        release=f"{unpacked.program.package} {unpacked.version}",
        environment={"PATH": PATH, "HOME": "/root", "LC_ALL": "C", **(environment or {})},
        log=log,
        root=str(unpacked.root),
        root_name=root_name,
    )
