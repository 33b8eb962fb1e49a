"""PID 1 of a machine: starts and reaps processes, and hands each request to the worker of its network namespace."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netfacts.agent import machine, protocol
from netfacts.agent import syscalls as sys_
from netfacts.agent.farewell import Farewell
from netfacts.agent.guard import Guard, OffLimits
from netfacts.agent.stamp import owner
from netfacts.agent.worker import serve

_MACHINE = 0
"""Key of the worker that stays in the machine's own network namespace."""
_LONGEST_WAIT_S = 86400.0
_VISITING = "\0netfacts-visit"
"""In the abstract namespace of the machine's network: gone with whoever has bound it, and no file."""


@dataclass
class _Worker:
    pid: int
    channel: socket.socket
    lines: protocol.Lines = field(default_factory=protocol.Lines)
    waiting: set[int] = field(default_factory=set)


@dataclass
class _Wait:
    request: int
    pid: int
    deadline: float


def _wait(number: int, args: dict[str, Any]) -> _Wait:
    pid, patience_s = args["pid"], args["timeout_s"]
    # What can't be waited for would end the loop, and the machine with it.
    if type(pid) is not int or not 0 <= patience_s <= _LONGEST_WAIT_S:
        raise ValueError(f"can't wait {patience_s!r} s for PID {pid!r}")
    return _Wait(number, pid, time.monotonic() + patience_s)


class Init:
    """The loop of PID 1: one selector over the harness's pipe, the workers' channels and SIGCHLD.

    With `guarded` the machine is not netfacts' own, nor is this its PID 1: nothing is done that would change it.
    With `patience_s` it ends when the harness has said nothing for that long, as if that had closed its end.
    """

    def __init__(self, *, reader: int, writer: int, guarded: bool = False, patience_s: float = 0.0) -> None:
        self._reader, self._writer = reader, writer
        self._patience_s = patience_s
        self._heard = time.monotonic()
        self._visiting: socket.socket | None = None
        self._guard = Guard() if guarded else None
        self._farewell: Farewell | None = None
        self._lines = protocol.Lines()
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, _Worker] = {}
        self._config: dict[str, Any] = {}
        self._exited: dict[int, int] = {}
        self._spawned: set[int] = set()
        self._waits: list[_Wait] = []
        self._ops: dict[str, Callable[[int, dict[str, Any]], Any]] = {
            "furnish": self._furnish,
            "spawn": self._spawn,
            "signal": self._signal,
            "release": self._release,
            "bid-farewell": self._bid_farewell,
            "visit-alone": self._visit_alone,
        }

    def run(self) -> int:
        """Serve until the harness closes its end, or has gone in another way. Gives the exit status."""
        try:
            self._serve()
        except BrokenPipeError:
            # It has gone in the middle of an answer.
            print("the harness has gone", file=sys.stderr, flush=True)
        finally:
            self._end()
        return 0

    def _serve(self) -> None:
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._reader, selectors.EVENT_READ, None)
        self._selector.register(wake_read, selectors.EVENT_READ, None)
        while not self._is_forsaken():
            for key, _ in self._selector.select(self._patience()):
                if key.fd == self._reader:
                    data = os.read(self._reader, 1 << 20)
                    if not data:
                        return
                    self._heard = time.monotonic()
                    for line in self._lines.feed(data):
                        self._receive(line)
                elif key.fd == wake_read:
                    with contextlib.suppress(BlockingIOError):
                        os.read(wake_read, 4096)
                    self._reap()
                else:
                    self._relay(key.data)
            self._settle_waits()

    # -- requests

    def _receive(self, line: bytes) -> None:
        if line == protocol.ALIVE:
            return
        try:
            request = protocol.decode(line)
            number = protocol.number_of(request)
        except ValueError as error:
            # For the log alone: an answer needs a number.
            print(f"no request: {error}: {line[:80]!r}", file=sys.stderr, flush=True)
            return
        try:
            op, args = request["op"], request.get("args", {})
            if self._guard:
                self._guard.check(op, request.get("net", ""), args)
            if op == "wait":
                self._waits.append(_wait(number, args))
            elif op in self._ops:
                self._reply(number, self._ops[op](number, args))
            else:
                worker = self._worker(request.get("net", ""))
                worker.waiting.add(number)
                worker.channel.sendall(line + b"\n")
        except OffLimits as refusal:
            self._refuse(number, str(refusal), "off_limits")
        except OSError as error:
            kind = "gone" if error.errno in (errno.ENOENT, errno.ESRCH, errno.EPIPE) else "failed"
            self._refuse(number, str(error), kind)
        except Exception:
            self._refuse(number, traceback.format_exc(limit=3), "failed")

    def _reply(self, number: int, result: Any) -> None:
        self._write(protocol.encode({"id": number, "ok": result}))

    def _refuse(self, number: int, error: str, kind: str) -> None:
        self._write(protocol.encode({"id": number, "error": error, "kind": kind}))

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._writer, view) :]

    # -- workers

    def _worker(self, net: str) -> _Worker:
        """Give the worker in the network namespace at this path, forking it where there is none yet.

        Keyed by the namespace's inode and not by its path: a path with a PID in it may come to name another one.
        """
        key = os.stat(net).st_ino if net else _MACHINE
        if key not in self._workers:
            ours, theirs = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                self._become_worker(net, ours, theirs)
            theirs.close()
            worker = _Worker(pid, ours)
            self._workers[key] = worker
            self._selector.register(ours, selectors.EVENT_READ, key)
        return self._workers[key]

    def _become_worker(self, net: str, ours: socket.socket, theirs: socket.socket) -> None:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            ours.close()
            os.close(self._reader)
            os.close(self._writer)
            if self._visiting:
                self._visiting.close()
            for worker in self._workers.values():
                worker.channel.close()
            sys_.set_name("nf-worker")
            if net:
                sys_.setns(net, sys_.CLONE_NEWNET)
            serve(theirs)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def _relay(self, key: int) -> None:
        worker = self._workers[key]
        try:
            data = worker.channel.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self._drop(key, "the worker in this namespace ended; see the agent's log")
            return
        try:
            for line in worker.lines.feed(data):
                worker.waiting.discard(protocol.number_of(protocol.decode(line)))
                self._write(line + b"\n")
        except ValueError as error:
            self._drop(key, f"the worker in this namespace gave an answer that can't be read: {error}")

    def _drop(self, key: int, reason: str) -> None:
        worker = self._workers.pop(key)
        self._selector.unregister(worker.channel)
        worker.channel.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)
        for number in worker.waiting:
            self._refuse(number, reason, "gone")

    def _release(self, _: int, args: dict[str, Any]) -> bool:
        """End the worker of a namespace, so that the namespace can go. Says whether there was one."""
        key = args["inode"]
        if key == _MACHINE or key not in self._workers:
            return False
        self._drop(key, "released")
        return True

    # -- the end

    def _bid_farewell(self, _: int, args: dict[str, Any]) -> dict[str, Any]:
        """Remember what is to be removed when the harness has gone; gives the value that the label is to have."""
        self._farewell = Farewell(args["socket"], args["label"], args.get("folder", ""), args.get("together_s", 0.0))
        return {"owner": owner()}

    def _visit_alone(self, _: int, __: dict[str, Any]) -> bool:
        """Say whether nobody else visits this machine; from now on this agent does, until it has said farewell."""
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(_VISITING)
        except OSError:
            lock.close()
            return False
        self._visiting = lock
        return True

    def _is_forsaken(self) -> bool:
        """Whether the harness has said nothing for longer than it may."""
        return bool(self._patience_s) and time.monotonic() - self._heard >= self._patience_s

    def _end(self) -> None:
        """Leave nothing behind where no namespace ends with this process."""
        if self._guard:
            for key in list(self._workers):
                self._drop(key, "the harness has gone")
        if self._farewell:
            self._farewell.carry_out()

    # -- processes

    def _furnish(self, _: int, args: dict[str, Any]) -> dict[str, Any]:
        self._config = args
        machine.furnish(args)
        return {"pid": os.getpid()}

    def _spawn(self, _: int, args: dict[str, Any]) -> dict[str, Any]:
        """Start a process: `argv`, `env`, `log` (file, appended to), `root` ("" or a root file system), `name`."""
        error_read, error_write = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                self._exec(args)
            except BaseException as error:
                os.write(error_write, f"{args['argv'][0]}: {error}".encode())
            finally:
                os._exit(127)
        os.close(error_write)
        with os.fdopen(error_read, "rb") as pipe:
            complaint = pipe.read()
        if complaint:
            raise OSError(complaint.decode(errors="replace"))
        self._spawned.add(pid)
        return {"pid": pid}

    def _exec(self, args: dict[str, Any]) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(args["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open("/dev/null", os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        if args["root"]:
            # The nameservers that the machine has now, which may be others than it began with.
            nameservers = {"resolv_conf": Path("/etc/resolv.conf").read_text()}
            machine.enter_root(args["root"], args["name"], self._config | nameservers)
        os.execvpe(args["argv"][0], args["argv"], args["env"])

    def _signal(self, _: int, args: dict[str, Any]) -> bool:
        """Send a signal to a process; says whether it was there."""
        try:
            os.kill(args["pid"], args["signal"])
        except ProcessLookupError:
            return False
        return True

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._spawned:
                self._exited[pid] = os.waitstatus_to_exitcode(status)

    def _patience(self) -> float | None:
        deadlines = [wait.deadline for wait in self._waits]
        if self._patience_s:
            deadlines.append(self._heard + self._patience_s)
        return max(0.0, min(deadlines) - time.monotonic()) if deadlines else None

    def _settle_waits(self) -> None:
        now = time.monotonic()
        for wait in list(self._waits):
            if wait.pid in self._exited:
                self._reply(wait.request, {"exit": self._exited[wait.pid]})
            elif wait.pid not in self._spawned:
                self._refuse(wait.request, f"PID {wait.pid} was not started by this agent", "refused")
            elif wait.deadline <= now:
                self._reply(wait.request, {"exit": None})
            else:
                continue
            self._waits.remove(wait)
