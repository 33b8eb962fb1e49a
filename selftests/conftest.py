"""The ledger: after each selftest this machine has what it had before, whatever was started and killed meanwhile."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest

from netfacts.agent import cgroups
from netfacts.agent.stamp import is_dead
from netfacts.lab.wait import until
from netfacts.model.errors import LabError

# The kernel takes away a namespace's links some time after its last process; another worker may have killed something.
_SETTLED_S = 30.0
_BEFORE = pytest.StashKey[frozenset[str]]()


def _ledger() -> frozenset[str]:
    """What is on this machine that only a selftest or a run can have left there."""
    links = {f"link {path.name}" for path in Path("/sys/class/net").iterdir()}
    mounts = {f"mount {line.split()[4]}" for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    folders = {f"cgroup {name}" for name in filter(is_dead, cgroups.names())}
    return frozenset(links | mounts | folders | _orphans())


def _orphans() -> set[str]:
    """Agents whose harness has gone."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            said = path.read_text()
        except OSError:
            continue
        # PID, name, state, parent.
        match = re.match(r"(\d+) \((nf-[^)]*)\) [^ZX] 1 ", said)
        if match:
            found.add(f"agent {match[2]}, process {match[1]}")
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first: last, each would keep one worker after the others have ended."""
    items.sort(key=lambda item: item.path.parent.name != "whole")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember what there was."""
    item.stash[_BEFORE] = _ledger()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """See that no more is there."""
    yield
    before = item.stash[_BEFORE]
    until(
        lambda: _ledger() <= before,
        what=f"what {item.name} has left to go",
        timeout_s=_SETTLED_S,
        error=lambda attempted: LabError(attempted, returned="\n".join(sorted(_ledger() - before))),
    )
