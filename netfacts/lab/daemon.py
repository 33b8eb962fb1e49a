"""Programs that stay in a machine: started by its agent, waited for, and ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath

from netfacts.lab.machine import Machine
from netfacts.lab.wait import until
from netfacts.model.errors import LabError, NetfactsError, ProbeError

_LINES = 15


class Daemon:
    """A running program. Undo: `stop` or `kill`, or the end of its machine."""

    def __init__(
        self,
        machine: Machine,
        argv: Sequence[str],
        *,
        release: str,
        environment: Mapping[str, str],
        log: str,
        root: str = "",
        root_name: str = "",
    ) -> None:
        """Start it; `await_ready` is still to be called.

        `release` says which it is in errors; `environment` is all that it gets; `log` is a file of the machine's, to
        which what it prints is added. With `root`, a folder of this machine, it has a root of its own, `root_name` to
        the machine.

        Raises: LabError where it can't be started; OffLimits where the machine is somebody's.
        """
        self.machine = machine
        self.log = log
        self._name = PurePath(argv[0]).name
        self._release = release
        try:
            said = machine.agent.call(
                "spawn",
                argv=list(argv),
                env=dict(environment),
                log=log,
                root=root,
                name=root_name or self._name,
            )
        except ProbeError as error:
            raise LabError(f"could not start {self._name}", where=machine.name, returned=error.returned) from None
        self.pid: int = said["pid"]

    def await_ready(self, is_ready: Callable[[], bool], *, what: str, timeout_s: float) -> None:
        """Wait for what it is to do first, which `what` names.

        Raises: LabError with the end of its log where it ends before or is late, and whatever `is_ready` raises; it has
        been killed then.
        """
        # Asked for once and answered when it happens.
        end = self.machine.agent.submit("wait", pid=self.pid, timeout_s=timeout_s)

        def status() -> int | None:
            return end.result()["exit"] if end.done() else None

        def met() -> bool:
            if (ended := status()) is not None:
                raise self.failure(f"{self._name} ended with status {ended}")
            return is_ready()

        try:
            until(met, what=what, timeout_s=timeout_s, error=self.failure)
        except BaseException:
            # Nobody else knows of it, and it would keep its port.
            with contextlib.suppress(NetfactsError):
                if status() is None:
                    self.kill()
            raise

    def stop(self, *, timeout_s: float) -> None:
        """End it in order. Raises: LabError where it had to be killed."""
        if not self.machine.terminate(self.pid, timeout_s=timeout_s):
            self.kill()
            raise self.failure(f"{self._name} did not stop within {timeout_s:.0f} s")

    def kill(self) -> None:
        """End it at once. Raises: LabError where it has not gone in time."""
        self.machine.kill(self.pid)

    def failure(self, attempted: str) -> LabError:
        """Give the error of something that it was to do, with the end of its log."""
        lines = (self.machine.text(self.log) or "").splitlines()
        return LabError(
            attempted,
            where=f"{self.machine.name}, {self._release}",
            returned="\n".join(lines[-_LINES:]),
            remedy="the lines above are the end of its log",
        )
