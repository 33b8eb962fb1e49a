"""A lab with an engine for each module, and a host to build on for each test."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from netfacts.engine import Engine, Installation, resolve
from netfacts.lab import Lab
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.model.lab import SHAPES
from netfacts.topology import Host

ENGINE = os.environ.get("NETFACTS_SELFTEST_ENGINE", "debian:bookworm")
_NUMBERS = itertools.count(1)

Start = Callable[..., Engine]


@pytest.fixture(autouse=True, scope="session")
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("building a lab needs root: sudo ./toxw -e selftests")


@pytest.fixture(scope="session")
def installation(_root: None) -> Installation:
    """The engine on disk; unpacked on first use."""
    return resolve(ENGINE)


def started(installation: Installation, *flags: str, shape: str) -> Iterator[tuple[Lab, Engine]]:
    """A lab of this shape with an engine on its `host`, ended afterwards with all that is in it."""
    cgroup = stamp(f"selftest-{next(_NUMBERS)}")
    with ExitStack() as stack:
        stack.callback(remove_cgroups, cgroup)
        lab = Lab(SHAPES[shape])
        stack.callback(lab.close)
        yield lab, Engine(lab["host"], installation, flags=flags, cgroup=cgroup)


@pytest.fixture(scope="module")
def running(installation: Installation) -> Iterator[tuple[Lab, Engine]]:
    """The module's lab (host and outside) and engine, which no test may break."""
    yield from started(installation, shape="host-and-outside")


@pytest.fixture
def own(installation: Installation) -> Iterator[tuple[Lab, Engine]]:
    """A lab (one host) and engine that a test may break."""
    yield from started(installation, shape="one-host")


@pytest.fixture(scope="module")
def lab(running: tuple[Lab, Engine]) -> Lab:
    """The module's lab."""
    return running[0]


@pytest.fixture(scope="module")
def engine(running: tuple[Lab, Engine]) -> Engine:
    """The module's engine."""
    return running[1]


@pytest.fixture
def host(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Host]:
    """A host to build on. Undo: what was built is removed."""
    host = Host(engine, check=request.node.name)
    yield host
    host.close()
