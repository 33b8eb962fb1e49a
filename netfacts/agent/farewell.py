"""What a run made on somebody's engine, and its removal when the harness has gone, in whatever way."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from netfacts.agent.stamp import is_dead, owner

_CALL_S = 60.0
_AGAIN_S = 0.25
_REFUSED = 400
_GONE = 404
_KINDS = (
    # What to ask for, what to call it in words, and how it is removed; first those that use or make the others.
    ("/services?", "service", "/services/{}"),
    ("/containers/json?all=1&", "container", "/containers/{}?force=1&v=1"),
    ("/networks?", "network", "/networks/{}"),
    ("/images/json?", "image", "/images/{}?force=1"),
)


@dataclass(frozen=True)
class Farewell:
    """What is to be done at the end: what bears `label` is removed from the engine at `socket`, and so is a folder.

    `together_s` is how long something may still be used on other machines, whose agents say farewell as well.
    """

    socket: str
    label: str
    folder: str = ""
    together_s: float = 0.0

    def carry_out(self) -> None:
        """Do it; what can't be done is left to the next run's sweep."""
        deadline = time.monotonic() + self.together_s
        while not self._attempt() and time.monotonic() < deadline:
            time.sleep(_AGAIN_S)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _attempt(self) -> bool:
        """Remove what can be; say whether that is all."""
        try:
            return not _remove(self.socket, self.label, lambda stamp: stamp == owner())[1]
        except (OSError, http.client.HTTPException, ValueError):
            return False


async def sweep(args: dict[str, Any]) -> list[str]:
    """Remove what bears `label` of an agent that has ended from the engine at `socket`; gives what it was.

    Raises: OSError where the engine does not answer.
    """
    engine = args["socket"]
    try:
        return _remove(engine, args["label"], is_dead)[0]
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"the engine at {engine} gave no answer: {error}") from None


def _remove(engine: str, label: str, chosen: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Remove what is chosen by its stamp; gives what was, and what the engine refused to."""
    removed: list[str] = []
    refused: list[str] = []
    for listing, noun, path in _KINDS:
        for identity, stamp in _labelled(engine, listing, label):
            if chosen(stamp):
                gone = _delete(engine, path.format(identity))
                (removed if gone else refused).append(f"{noun} {identity}")
    return removed, refused


def _delete(engine: str, path: str) -> bool:
    """Say whether it is gone; a slow answer about one thing leaves the others to be removed."""
    try:
        status, _ = _ask(engine, "DELETE", path)
    except TimeoutError:
        return False
    return status < _REFUSED or status == _GONE


def _labelled(engine: str, listing: str, label: str) -> Iterator[tuple[str, str]]:
    status, said = _ask(engine, "GET", f"{listing}filters={quote(json.dumps({'label': [label]}))}")
    # Who manages no swarm has no services, and refuses to say so.
    found = json.loads(said) if status < _REFUSED else None
    for one in found if isinstance(found, list) else ():
        identity, labels = one.get("Id") or one.get("ID"), one.get("Labels") or (one.get("Spec") or {}).get("Labels")
        if isinstance(identity, str) and isinstance(labels, dict):
            yield identity, str(labels.get(label, ""))


def _ask(engine: str, verb: str, path: str) -> tuple[int, bytes]:
    """Give the status and the body of an answer."""
    with contextlib.closing(_Connection(engine)) as connection:
        connection.request(verb, path)
        answer = connection.getresponse()
        return answer.status, answer.read()


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CALL_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_CALL_S)
        self.sock.connect(self._path)
