"""The agent's language: one JSON object a line.

Request:  {"id": 7, "op": "probe", "net": "", "args": {…}}     net: path of a network namespace, "" for the machine's
Reply:    {"id": 7, "ok": …}  or  {"id": 7, "error": "…", "kind": "gone" | "refused" | "failed" | "off_limits"}
Sign of life: {"op": "alive"}, without a reply, where the harness could be cut off.
First line from the agent: {"pid": N}, PID 1 of the machine as the harness sees it. Bytes travel as base64.
"""

from __future__ import annotations

import json
from typing import Any

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A line longer than this is an error of whoever sent it."""
ALIVE = b'{"op":"alive"}'
"""What the harness says from time to time to an agent that it could be cut off from."""
_SURROGATE = b"\\ud"


def encode(message: dict[str, Any]) -> bytes:
    """Give a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """Read a line. Half a character, such as a probe may bring back as JSON, becomes a question mark.

    Raises: ValueError for anything but a JSON object.
    """
    try:
        message = json.loads(line)
        if _SURROGATE in line:
            # It could be told to nobody: UTF-8 has none.
            message = json.loads(json.dumps(message, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError(f"expected an object, got {type(message).__name__}")
    return message


def number_of(message: dict[str, Any]) -> int:
    """Give the number of a request, or of the one that a reply is to.

    Raises: ValueError where it has none.
    """
    number = message.get("id")
    # Not isinstance: true and false are no numbers.
    if type(number) is not int:
        raise ValueError(f"expected an id, got {type(number).__name__}")
    return number


class Lines:
    """Cuts a stream of bytes into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Add what was read; give the lines that are now complete.

        Raises: ValueError where a line grows beyond MAX_LINE_BYTES.
        """
        self._rest += data
        if b"\n" not in data:
            if len(self._rest) > MAX_LINE_BYTES:
                raise ValueError("a line is too long")
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        return [line for line in lines if line]
