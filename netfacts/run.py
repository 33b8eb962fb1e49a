"""The one module that starts processes for the harness: argument lists, no shell, a deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Never

from netfacts.model.errors import NetfactsError

TimeoutExpired = subprocess.TimeoutExpired
"""What waiting for a process raises after its deadline."""

Process = subprocess.Popen[bytes]
"""A process that runs."""


@dataclass(frozen=True)
class Finished:
    """A process that has ended. `exit_status` is negative for a signal."""

    argv: tuple[str, ...]
    exit_status: int
    out: str
    err: str

    def checked(self, attempted: str, error: type[NetfactsError], *, remedy: str = "") -> Finished:
        """Give this, if the process succeeded.

        Raises: `error`, with the command and the end of what it printed, if it did not.
        """
        if self.exit_status != 0:
            tail = "\n".join((self.err or self.out).strip().splitlines()[-8:])
            raise error(
                attempted,
                returned=f"{' '.join(self.argv)}\nexit status {self.exit_status}\n{tail}",
                remedy=remedy,
            )
        return self


def run(argv: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None, text: str = "") -> Finished:
    """Run a program to its end, with `text` as its input. One that is late is killed: exit status -9.

    Raises: FileNotFoundError where there is no such program.
    """
    try:
        done = subprocess.run(
            argv,
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=env,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        out = late.stdout.decode(errors="replace") if isinstance(late.stdout, bytes) else ""
        return Finished(tuple(argv), -signal.SIGKILL, out, f"no end after {timeout_s} s")
    return Finished(tuple(argv), done.returncode, done.stdout, done.stderr)


def follow(
    argv: Sequence[str], *, on_line: Callable[[str], None], timeout_s: float, env: Mapping[str, str] | None = None
) -> Finished:
    """Run a program, giving each line that it prints to `on_line` as it comes.

    Raises: FileNotFoundError where there is no such program; what `on_line` raises, after the program was ended.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=env,
        start_new_session=True,
    )
    lines: list[str] = []
    timer = _Deadline(process, timeout_s)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            on_line(line.rstrip("\n"))
        status = process.wait()
    finally:
        timer.cancel()
        _end_group(process)
    if timer.fired:
        lines.append(f"no end after {timeout_s} s")
    return Finished(tuple(argv), status, "".join(lines), "")


class _Deadline:
    def __init__(self, process: subprocess.Popen[str], timeout_s: float) -> None:
        self.fired = False
        self._process = process
        self._timer = threading.Timer(timeout_s, self._fire)
        self._timer.daemon = True
        self._timer.start()

    def _fire(self) -> None:
        self.fired = True
        _end_group(self._process)

    def cancel(self) -> None:
        self._timer.cancel()


def _end_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def converse(
    argv: Sequence[str], *, channel: socket.socket, log: IO[bytes], cwd: Path, env: Mapping[str, str]
) -> Process:
    """Start a program to talk to: `channel` becomes its standard input, its standard error goes to `log`.

    In a session of its own: Ctrl-C in a terminal is for the harness, which then ends it in order.
    """
    return subprocess.Popen(
        argv,
        stdin=channel.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=log,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )


def talk(argv: Sequence[str], *, log: IO[bytes]) -> Process:
    """Start a program to talk to by its standard input and output; its standard error goes to `log`.

    In a session of its own, as with `converse`; its standard input ends with this process, in whatever way.

    Raises: FileNotFoundError where there is no such program.
    """
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True)


def become(argv: Sequence[str], *, env: Mapping[str, str]) -> Never:
    """Have a program take this process's place: its terminal, signals and exit status are all its own.

    Raises: FileNotFoundError where there is no such program.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(argv[0], list(argv), dict(env))


def foreground(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> int:
    """Run a program in the foreground, on this terminal, and give its exit status. Ctrl-C is left to it.

    So is SIGTERM, which is passed on.
    """
    process = subprocess.Popen(argv, cwd=cwd, env=env)
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return _outlast(process, timeout_s)
    finally:
        signal.signal(signal.SIGTERM, before)


def _outlast(process: subprocess.Popen[bytes], timeout_s: float) -> int:
    waited = 0.0
    while True:
        try:
            return process.wait(timeout=max(1.0, timeout_s - waited))
        except KeyboardInterrupt:
            # The program is in our process group and has its own SIGINT: it writes what it has, then ends.
            waited = max(0.0, timeout_s - 60)
        except subprocess.TimeoutExpired:
            process.terminate()
            timeout_s, waited = 30.0, 0.0
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
