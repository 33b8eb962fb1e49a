"""Writes a record: one line for each thing known, the moment it is known."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from netfacts.model.record import Line


class Recorder:
    """An open record.jsonl. What was written stays, however the run ends."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Unbuffered: a run that is killed leaves every line that it came to.
        self._file = path.open("ab", buffering=0)
        self._encoder = msgspec.json.Encoder()
        self.path = path

    def write(self, line: Line) -> None:
        """Append a line."""
        self._file.write(self._encoder.encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
