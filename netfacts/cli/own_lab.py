"""What commands need that build a lab of their own: a machine that can, an engine, and an end in order."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Never

from rich.console import Console

from netfacts.engine import Installation, resolve
from netfacts.engine.progress import shown
from netfacts.lab import kept, stamp
from netfacts.lab.kernel import missing_features, require_linux, require_root
from netfacts.model.errors import UsageError
from netfacts.model.lab import MOST_HOSTS, LabSpec, hosts, shape

_LOOK_AGAIN_S = 1.0
_came: list[int] = []
"""The signals that have come in `ended_by_signals`: Python swallows what is raised in a callback of its own."""


def lab_of(count: int, *, routed: bool) -> LabSpec:
    """Give the lab of this many hosts; one host has a client beside it, or behind a router.

    Raises: UsageError for fewer or more than there can be.
    """
    if not 1 <= count <= MOST_HOSTS:
        raise UsageError(f"a lab has 1 to {MOST_HOSTS} hosts, and not {count}", remedy=f"--hosts 1 to {MOST_HOSTS}")
    if count == 1:
        return shape("routed" if routed else "host-and-outside")
    return hosts(count, routed=routed)


def installed(engine: str, *, console: Console) -> tuple[Installation, dict[str, str]]:
    """Look at the machine, and find the engine. Gives the kernel's features that are missing, too, with their remedies.

    Raises: UsageError, EngineError.
    """
    require_linux()
    require_root()
    kept.sweep()
    stamp.sweep()
    missing = missing_features()
    with shown(console) as progress:
        return resolve(engine, progress=progress), missing


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end a `with` block as Ctrl-C does, also where a shell has started it without Ctrl-C."""
    owner = os.getpid()
    numbers = [signal.SIGINT, signal.SIGTERM]
    # `nohup` is to outlast the terminal.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    _came.clear()

    def end(number: int, _: object) -> Never:
        if os.getpid() != owner:
            # Libraries fork, and end what they have forked by a signal.
            os._exit(128 + number)
        _came.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_for_the_end() -> Never:
    """Wait for a signal inside `ended_by_signals`, or find that one has come. Raises: KeyboardInterrupt."""
    while not _came:
        time.sleep(_LOOK_AGAIN_S)
    raise KeyboardInterrupt
