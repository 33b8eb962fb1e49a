"""The harness's end of an agent: requests out, replies in, each with a deadline."""

from __future__ import annotations

import os
import tempfile
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from itertools import count
from typing import Any

from netfacts.agent import protocol
from netfacts.lab.forkserver import log_tail
from netfacts.lab.site import HERE, Site
from netfacts.model.errors import LabError, NetfactsError, OffLimits, ProbeError

# What a reply may take beyond the time that the request itself allows; generous, as these machines are busy.
_GRACE_S = 20.0
_END_S = 5.0

Reply = Future[Any]


class Agent:
    """A running agent. Ends with `close`, or with the death of this process."""

    def __init__(self, name: str, *, guarded: bool = False, site: Site = HERE) -> None:
        """Start it at a site and wait until its PID 1 is there.

        A `guarded` one stays in the namespaces of the site's machine, and refuses what would change it.

        Raises: LabError with the end of the agent's log.
        """
        self.name = name
        self.site = site
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the agent)
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: dict[int, Reply] = {}
        self._gone = ""
        try:
            self._keeper = site.start(name, guarded=guarded, log=self._log)
        except BaseException:
            self._log.close()
            raise
        self.pid = 0
        """PID 1 of the machine, as processes of its site see it."""
        hello: Reply = Future()
        self._reader = threading.Thread(target=self._read, args=(hello,), name=f"agent-{name}", daemon=True)
        self._reader.start()
        try:
            self.pid = hello.result(self._keeper.start_s)
        except (FutureTimeout, LabError) as error:
            said = str(error) or f"no sign of life within {self._keeper.start_s:.0f} s\n{self.log_tail()}"
            self.close()
            raise LabError(
                "could not start the agent of a machine",
                where=name,
                returned=said,
                remedy=self._keeper.remedy,
            ) from None
        site.watch(self)

    # -- asking

    def submit(self, op: str, *, net: str = "", **args: Any) -> Reply:
        """Send a request and give the future of its result."""
        reply: Reply = Future()
        number = next(self._numbers)
        line = protocol.encode({"id": number, "op": op, "net": net, "args": args})
        with self._lock:
            if self._gone:
                reply.set_exception(self._loss(self._gone))
                return reply
            self._pending[number] = reply
        try:
            # Not under the lock that the reader needs: an agent that does not read may wait for its answers to be read.
            with self._writing:
                self._keeper.stdin.write(line)
                self._keeper.stdin.flush()
        except (OSError, ValueError) as error:
            with self._lock:
                lost = self._pending.pop(number, None)
            if lost is not None:
                lost.set_exception(self._loss(str(error)))
        return reply

    def call(self, op: str, *, net: str = "", timeout_s: float = 10.0, **args: Any) -> Any:
        """Send a request and wait for its result; `timeout_s` is part of the request where the agent honours one.

        Raises: ProbeError if the agent refuses or fails; LabError if it is gone or silent.
        """
        return self.settle(self.submit(op, net=net, timeout_s=timeout_s, **args), op, timeout_s=timeout_s)

    def settle(self, reply: Reply, op: str, *, timeout_s: float) -> Any:
        """Wait for the result of a request that was sent before. Raises as `call` does."""
        try:
            return reply.result(timeout_s + _GRACE_S)
        except FutureTimeout:
            raise LabError(
                f"the agent did not answer {op!r} within {timeout_s + _GRACE_S:.0f} s",
                where=self.name,
                returned=self.log_tail(),
            ) from None

    def say_alive(self) -> None:
        """Let the agent know that somebody is there."""
        # Whoever writes just now tells it as well.
        if self._writing.acquire(blocking=False):
            try:
                self._keeper.stdin.write(protocol.ALIVE + b"\n")
                self._keeper.stdin.flush()
            except (OSError, ValueError):
                # Its reader has noticed, or is about to.
                pass
            finally:
                self._writing.release()

    # -- the other end

    def _read(self, hello: Reply) -> None:
        lines = protocol.Lines()
        try:
            while data := os.read(self._keeper.stdout.fileno(), 1 << 20):
                for line in lines.feed(data):
                    message = protocol.decode(line)
                    if not hello.done():
                        hello.set_result(_pid(message))
                    else:
                        self._deliver(message)
        except (OSError, ValueError) as error:
            self._lose(f"its answers can't be read: {error}", hello)
            return
        self._lose("it ended", hello)

    def _deliver(self, message: dict[str, Any]) -> None:
        number = protocol.number_of(message)
        # Read before it is taken from the pending ones, which fail together where an answer can't be read.
        failure = None if "ok" in message else self._failure(message)
        with self._lock:
            reply = self._pending.pop(number, None)
        if reply is None:
            return
        if failure is None:
            reply.set_result(message["ok"])
        else:
            reply.set_exception(failure)

    def _failure(self, message: dict[str, Any]) -> NetfactsError:
        """Give what an answer without a result says went wrong.

        Raises: ValueError where it says nothing.
        """
        said, kind, errno = (message.get(field) for field in ("error", "kind", "errno"))
        if not isinstance(said, str) or not isinstance(kind, str) or not isinstance(errno, int | None):
            raise ValueError(f"it holds neither a result nor an error: {sorted(message)}")
        return OffLimits(said, where=self.name) if kind == "off_limits" else Refusal(said, self.name, kind, errno)

    def _lose(self, reason: str, hello: Reply) -> None:
        with self._lock:
            self._gone = reason
            pending, self._pending = self._pending, {}
        for reply in [hello, *pending.values()]:
            if not reply.done():
                reply.set_exception(self._loss(reason))

    def _loss(self, reason: str) -> LabError:
        return LabError("the agent of a machine is lost", where=self.name, returned=f"{reason}\n{self.log_tail()}")

    def log_tail(self) -> str:
        """Give the end of what the agent wrote on its standard error."""
        return log_tail(self._log)

    @property
    def alive(self) -> bool:
        """Whether the agent still runs."""
        return not self._gone and not self._keeper.has_ended()

    def close(self) -> None:
        """End the machine: close the pipe, and wait until the kernel has taken everything in it away."""
        self.site.forget(self)
        self._keeper.hang_up()
        if not self._keeper.has_ended(_END_S):
            # A stopped or wedged PID 1 does not read its end of file; nothing in the machine survives its end.
            self._keeper.kill()
        self._reader.join(5)
        self._keeper.close()
        self._log.close()


def _pid(message: dict[str, Any]) -> int:
    """Read an agent's first line.

    Raises: ValueError where it is none.
    """
    pid = message.get("pid")
    if type(pid) is not int or pid <= 0:
        raise ValueError(f"its first line names no process: {sorted(message)}")
    return pid


class Refusal(ProbeError):
    """What an agent could not do. `kind` is `gone`, `refused` or `failed`; `errno` the kernel's, where it has one."""

    def __init__(self, said: str, where: str, kind: str, errno: int | None) -> None:
        super().__init__("the agent could not do what it was asked", where=where, returned=said)
        self.kind = kind
        self.errno = errno

    def __reduce__(self) -> tuple[object, ...]:
        return (Refusal, (self.returned, self.where, self.kind, self.errno))
