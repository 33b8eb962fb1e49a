"""Progress of what takes long: steps as they come, a bar where a person watches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

_LINES_PER_STEP = 4


@dataclass(frozen=True)
class Step:
    """What is being done. `done` of `total` in bytes, where that is known: 0 of 0 where it is not."""

    text: str
    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        return f"{self.text}: {self.amount}" if self.amount else self.text

    @property
    def amount(self) -> str:
        """How far it is, in words; "" where nobody knows."""
        if self.total:
            return f"{decimal(self.done)} of {decimal(self.total)}"
        return decimal(self.done) if self.done else ""


Progress = Callable[[Step], None]


def quiet(_: Step) -> None:
    """Show nothing."""


@contextlib.contextmanager
def shown(console: Console | None = None) -> Iterator[Progress]:
    """Yield what shows progress: on a terminal a live bar, and otherwise lines, a few for each step."""
    console = console or Console(file=sys.stdout)
    if not console.is_terminal:
        yield _Lines(console)
        return
    bar = Bar(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[amount]}", markup=False),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with bar:
        yield _Live(bar)


class _Live:
    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def __call__(self, step: Step) -> None:
        if not self._bar.tasks:
            self._bar.add_task("", total=None, amount="")
        (task,) = self._bar.tasks
        # A bar without a total runs to and fro.
        task.total = step.total or None
        self._bar.update(task.id, description=step.text, completed=step.done, amount=step.amount)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: tuple[str, int] | None = None

    def __call__(self, step: Step) -> None:
        part = step.done * _LINES_PER_STEP // step.total if step.total else 0
        if (step.text, part) != self._last:
            self._last = (step.text, part)
            self._console.print(str(step), markup=False, highlight=False, soft_wrap=True)
