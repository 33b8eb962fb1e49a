"""Children of a worker: for what would hold up its event loop, or must not stay in a namespace."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import traceback
from collections.abc import Callable, Collection

from netfacts.agent import syscalls as sys_

_STDERR = 2


def fork(job: Callable[[], object], *, keep: Collection[int]) -> int:
    """Have a child do a job, and give its PID. Of the worker's descriptors it has `keep` alone, and standard error.

    It ends with the job, or with the worker. Undo: `end`.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        sys_.die_with_parent()
        # Others would stay open for as long as it lives: the worker's listeners, and its end of PID 1's channel.
        lowest = 0
        for kept in sorted({*keep, _STDERR}):
            os.closerange(lowest, kept)
            lowest = kept + 1
        os.closerange(lowest, os.sysconf("SC_OPEN_MAX"))
        job()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def end(pid: int) -> None:
    """Kill a child, and wait for its end."""
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def go_first() -> None:
    """Let this process before all others of the machine; those that are let so, too, take turns with it."""
    # Some kernels grant it to none, or not in every cgroup; then there is more noise.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


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
