"""Children of a worker: for what would hold up its event loop, or must not stay in a namespace."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Callable

from netfacts.agent import syscalls as sys_

_STDERR = 2


def fork(job: Callable[[], object], *, keep: int) -> int:
    """Have a child do a job, and give its PID. Of the worker's descriptors it has `keep` alone, and standard error.

    It ends with the job, or with the worker. Undo: kill it, and wait for it.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        sys_.die_with_parent()
        # Others would stay open for as long as it lives: the worker's listeners, and its end of PID 1's channel.
        low, high = sorted((keep, _STDERR))
        os.closerange(0, low)
        os.closerange(low + 1, high)
        os.closerange(high + 1, os.sysconf("SC_OPEN_MAX"))
        job()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


async def read_all(fd: int) -> bytes:
    """Read a pipe until nobody holds its other end any more, and close it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        return await reader.read()
    finally:
        transport.close()
