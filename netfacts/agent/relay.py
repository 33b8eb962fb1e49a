"""Relays a Unix socket of this machine to one that the user who came over ssh may connect to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

_CHUNK = 1 << 16


class Relays:
    """The relays of one worker. They go with it."""

    def __init__(self) -> None:
        self._open: list[asyncio.Server] = []

    async def open(self, args: dict[str, Any]) -> dict[str, str]:
        """Listen beside the zipapp that this agent came as, and copy each connection to and from the socket `to`.

        The new socket belongs to whom the zipapp's folder belongs, and is nobody else's. Gives its `path`.

        Raises: OSError, also where this agent is no zipapp.
        """
        program = Path(sys.argv[0]).absolute()
        if not program.is_file() or program.suffix != ".pyz":
            raise OSError(f"{program} is no folder of netfacts' own to listen in")
        path = program.parent / f"relay{len(self._open)}.sock"
        # Nobody else can get into the folder, so there is no moment at which somebody could connect too early.
        self._open.append(await asyncio.start_unix_server(partial(_serve, args["to"]), path))
        about = program.parent.stat()
        os.chown(path, about.st_uid, about.st_gid)
        path.chmod(0o600)
        return {"path": str(path)}


async def _serve(to: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there, back = await asyncio.open_unix_connection(to)
    except OSError:
        # Whoever has connected sees the end, as it would where nobody listens.
        writer.close()
        return
    await asyncio.gather(_copy(reader, back), _copy(there, writer))
    for one in (writer, back):
        one.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the end, and tell it: one side may have no more to say and yet listen."""
    try:
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
        target.write_eof()
    except OSError:
        with contextlib.suppress(OSError):
            target.transport.abort()
