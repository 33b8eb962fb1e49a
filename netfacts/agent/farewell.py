"""What a run made on somebody's engine, and its removal when the harness has gone, in whatever way."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from netfacts.agent.stamp import is_dead, owner

_CALL_S = 20.0
_KINDS = (
    # What to ask for, what to call it in words, and how it is removed; containers first, they use the others.
    ("/containers/json?all=1&", "container", "/containers/{}?force=1&v=1"),
    ("/networks?", "network", "/networks/{}"),
    ("/images/json?", "image", "/images/{}?force=1"),
)


@dataclass(frozen=True)
class Farewell:
    """What is to be done at the end: what bears `label` is removed from the engine at `socket`, and so is a folder."""

    socket: str
    label: str
    folder: str = ""

    def carry_out(self) -> None:
        """Do it; what can't be done is left to the next run's sweep."""
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            _remove(self.socket, self.label, lambda stamp: stamp == owner())
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


async def sweep(args: dict[str, Any]) -> list[str]:
    """Remove what bears `label` of an agent that has ended from the engine at `socket`; gives what it was.

    Raises: OSError where the engine does not answer.
    """
    engine = args["socket"]
    try:
        return _remove(engine, args["label"], is_dead)
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"the engine at {engine} gave no answer: {error}") from None


def _remove(engine: str, label: str, chosen: Callable[[str], bool]) -> list[str]:
    removed = []
    for listing, noun, path in _KINDS:
        for identity, stamp in _labelled(engine, listing, label):
            if chosen(stamp):
                _ask(engine, "DELETE", path.format(identity))
                removed.append(f"{noun} {identity}")
    return removed


def _labelled(engine: str, listing: str, label: str) -> Iterator[tuple[str, str]]:
    found = _ask(engine, "GET", f"{listing}filters={quote(json.dumps({'label': [label]}))}")
    for one in found if isinstance(found, list) else ():
        labels = one.get("Labels")
        if isinstance(one.get("Id"), str) and isinstance(labels, dict):
            yield one["Id"], str(labels.get(label, ""))


def _ask(engine: str, verb: str, path: str) -> Any:
    with contextlib.closing(_Connection(engine)) as connection:
        connection.request(verb, path)
        said = connection.getresponse().read()
    return json.loads(said) if verb == "GET" else None


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CALL_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_CALL_S)
        self.sock.connect(self._path)
