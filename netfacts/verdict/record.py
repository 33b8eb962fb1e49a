"""Writes a record: one line for each thing known, the moment it is known."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from netfacts.model.record import Line
from netfacts.model.verdict import plain


def _whole(value: Any) -> Any:
    """Give a value of JSON with a question mark for each half of a character."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list | tuple):
        return [_whole(entry) for entry in value]
    if isinstance(value, dict):
        return {_whole(key): _whole(entry) for key, entry in value.items()}
    return value


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
        try:
            data = self._encoder.encode(line)
        except UnicodeEncodeError:
            # Half a character, such as JSON can hold and UTF-8 can't: whoever sent it must not end the run.
            data = self._encoder.encode(_whole(plain(line)))
        self._file.write(data + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
