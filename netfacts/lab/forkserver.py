"""The harness's end of the fork server: one for all agents of this process."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import socket
import sys
import tempfile
import threading
from itertools import count
from pathlib import Path
from typing import IO

from netfacts.agent import protocol
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.model.errors import LabError
from netfacts.run import Process, TimeoutExpired, converse

_ROOT = Path(__file__).resolve().parents[2]
# A slow machine (emulated, busy) takes 10 s to import everything.
_START_S = 30.0
_MACHINES = count(1)


def log_tail(log: IO[bytes], lines: int = 12) -> str:
    """Give the end of what was written to a log."""
    if log.closed:
        return ""
    size = os.fstat(log.fileno()).st_size
    data = os.pread(log.fileno(), 16384, max(0, size - 16384))
    return "\n".join(data.decode(errors="replace").splitlines()[-lines:])


class Keeper:
    """The process that waits for PID 1 of a machine, which ends with it. `cgroup` is the machine's, which stays."""

    # Only a hung machine gets there: an agent that fails is noticed at once. A slow one (emulated, busy) takes 10 s.
    start_s = 30.0
    remedy = "`netfacts doctor` says what this machine lacks"

    def __init__(self, pidfd: int, stdin: int, stdout: int, *, cgroup: str = "") -> None:
        self._cgroup = cgroup
        # A file object can be closed twice; a number might be another file's by then.
        self._pidfd = os.fdopen(pidfd, "rb", buffering=0)
        self.stdin: IO[bytes] = os.fdopen(stdin, "wb")
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb", buffering=0)

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        """Say whether it has ended, or does in this time."""
        if self._pidfd.closed:
            return True
        watch = select.poll()
        watch.register(self._pidfd, select.POLLIN)
        return bool(watch.poll(timeout_s * 1000))

    def kill(self) -> None:
        """End it and the machine, and wait for that."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd.fileno(), signal.SIGKILL)
        self.has_ended(_START_S)

    def hang_up(self) -> None:
        """Close the agent's standard input: it ends in order."""
        with contextlib.suppress(OSError):
            self.stdin.close()

    def close(self) -> None:
        """Let go of it, when it has ended. Again is no error."""
        if self._cgroup:
            remove_cgroups(self._cgroup)
        self.hang_up()
        self.stdout.close()
        self._pidfd.close()


class ForkServer:
    """Starts when it is first needed, and again where it was lost; ends with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channel: socket.socket | None = None
        self._process: Process | None = None
        self._log: IO[bytes] | None = None

    def fork(self, name: str, *, guarded: bool, log: IO[bytes]) -> Keeper:
        """Have the agent of a machine forked; its standard error goes to `log`.

        A `guarded` one stays in the namespaces of this machine, and refuses what would change it.

        Raises: LabError.
        """
        stdin_read, stdin_write = os.pipe()
        stdout_read, stdout_write = os.pipe()
        cgroup = "" if guarded else stamp(f"machine-{next(_MACHINES)}")
        order = protocol.encode({"name": name, "cgroup": cgroup})
        try:
            with self._lock:
                pidfd = self._ask(order, [stdin_read, stdout_write, log.fileno()])
        except BaseException as error:
            os.close(stdin_write)
            os.close(stdout_read)
            if not isinstance(error, OSError):
                raise
            raise LabError(
                "could not have the agent of a machine forked",
                where=name,
                returned=f"{error}\n{log_tail(self._log) if self._log else ''}",
                remedy="`netfacts doctor` says what this machine lacks",
            ) from None
        finally:
            os.close(stdin_read)
            os.close(stdout_write)
        return Keeper(pidfd, stdin_write, stdout_read, cgroup=cgroup)

    def _ask(self, order: bytes, streams: list[int]) -> int:
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._channel is not None
        try:
            socket.send_fds(self._channel, [order], streams)
            answer, fds, _, _ = socket.recv_fds(self._channel, 4096, 1)
            if not answer or len(fds) != 1:
                raise ConnectionResetError("the fork server ended")
        except OSError:
            # Or a late answer would be taken for that to the next order.
            self.close()
            raise
        return fds[0]

    def _start(self) -> None:
        self.close()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the server)
        # Whole messages, so that each keeps its descriptors.
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(_START_S)
        with theirs:
            self._process = converse(
                [sys.executable, "-m", "netfacts.agent"],
                channel=theirs,
                log=self._log,
                cwd=_ROOT,
                env={
                    "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin"),
                    "LC_ALL": "C.UTF-8",
                    "PYTHONUTF8": "1",
                    # An agent finds what this process has found, wherever that is installed.
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                },
            )

    def close(self) -> None:
        """End it; the agents that it forked go on."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            try:
                self._process.wait(5)
            except TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._channel = self._process = None


FORK_SERVER = ForkServer()
"""This process's."""

atexit.register(FORK_SERVER.close)
