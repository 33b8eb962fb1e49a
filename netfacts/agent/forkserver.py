"""Forks agents from a process that has imported everything already: a machine costs a third of the time that way."""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import socket
import traceback
from typing import Never

from netfacts.agent import machine, protocol
from netfacts.agent import syscalls as sys_
from netfacts.agent.init import Init

_STANDARD_STREAMS = 3


class ForkServer:
    """Forks a keeper for each order: `{"name": …, "cgroup": …}` with its three standard streams as descriptors.

    Without a `cgroup` the agent stays in the namespaces of this machine, and changes nothing there: see `Guard`.

    The answer is `{"pid": N}` with a descriptor of the keeper (pidfd), by which the harness watches and ends it.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._selector = selectors.DefaultSelector()
        self._keepers: dict[int, int] = {}

    def serve(self) -> None:
        """Serve until the harness closes its end; keepers go on without."""
        self._selector.register(self._channel, selectors.EVENT_READ)
        # What is there now is there to stay: a collection in a child need not copy its pages.
        gc.collect()
        gc.freeze()
        while True:
            for key, _ in self._selector.select():
                if key.fd in self._keepers:
                    self._bury(key.fd)
                elif not self._take_order():
                    return

    def _take_order(self) -> bool:
        line, streams, _, _ = socket.recv_fds(self._channel, 4096, _STANDARD_STREAMS)
        if not line:
            return False
        order = protocol.decode(line)
        pid = os.fork()
        if pid == 0:
            self._become_keeper(order["name"], order["cgroup"], streams)
        for fd in streams:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._keepers[pidfd] = pid
        self._selector.register(pidfd, selectors.EVENT_READ)
        socket.send_fds(self._channel, [protocol.encode({"pid": pid})], [pidfd])
        return True

    def _bury(self, pidfd: int) -> None:
        os.waitpid(self._keepers.pop(pidfd), 0)
        self._selector.unregister(pidfd)
        os.close(pidfd)

    def _become_keeper(self, name: str, cgroup: str, streams: list[int]) -> Never:
        status = 1
        try:
            self._selector.close()
            self._channel.close()
            for pidfd in self._keepers:
                os.close(pidfd)
            # Ctrl-C in a terminal is for the harness, which then ends it in order.
            os.setsid()
            for target, fd in enumerate(streams):
                os.dup2(fd, target)
                os.close(fd)
            status = keep(name, cgroup)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)


def keep(name: str, cgroup: str, *, patience_s: float = 0.0) -> int:
    """Leave the namespaces, fork PID 1, and wait for it: this process, the keeper, is all the harness sees of it.

    PID 1 ends after `patience_s` without a line from the harness; 0 is for where it can't be cut off.
    """
    sys_.set_name("nf-keeper")
    if cgroup:
        machine.leave_namespaces(cgroup)
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        os._exit(_init(go_read, name, guarded=not cgroup, patience_s=patience_s))
    os.close(go_read)
    os.write(1, protocol.encode({"pid": pid}))
    # The keeper holds neither end of the conversation: the harness must see PID 1's end of file, and PID 1 its.
    os.close(0)
    os.close(1)
    os.write(go_write, b"x")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _init(go: int, name: str, *, guarded: bool, patience_s: float) -> int:
    sys_.die_with_parent()
    if os.read(go, 1) != b"x":
        return 1
    os.close(go)
    sys_.set_name(f"nf-{name}")
    try:
        return Init(reader=0, writer=1, guarded=guarded, patience_s=patience_s).run()
    except Exception:
        traceback.print_exc()
        return 1


def main() -> int:
    """Serve the harness, whose end of the channel is this process's standard input."""
    with contextlib.suppress(ConnectionError), socket.socket(fileno=0) as channel:
        ForkServer(channel).serve()
    return 0
