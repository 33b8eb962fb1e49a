"""A connection to a VM by OpenSSH's own client: one master, and sessions and forwarded sockets over it.

All of it ends with this process, in whatever way: each of the processes has a pipe of ours as its standard input.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from itertools import count
from pathlib import Path
from typing import IO

from netfacts.lab.destination import Destination
from netfacts.lab.forkserver import log_tail
from netfacts.lab.stamp import owner_is_dead, stamp
from netfacts.model.errors import LabError, UsageError
from netfacts.run import Process, TimeoutExpired, run, talk

_CONNECT_S = 15
# A connection that is cut is noticed after three of these, at most four.
_ALIVE_S = 5
_FORWARD_S = 20.0
_KILLED_S = 10.0
_LONGEST_PLACE = 40
_CONNECTIONS = count(1)
_OWN = (
    "BatchMode=yes",
    # Whatever the user's configuration says: none of it is for a connection that a program talks over.
    "ControlPersist=no",
    "RemoteCommand=none",
    "PermitLocalCommand=no",
    "ForwardAgent=no",
    "ForwardX11=no",
)


class SshKeeper:
    """A session: the process of ssh that stands for an agent on the VM."""

    # Python there may have to be read from a slow disk, by an emulated processor.
    start_s = 120.0
    remedy = "see whether the VM is still there; a lab takes up to eight sessions of its sshd at once (MaxSessions)"

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        """Say whether it has ended, or does in this time."""
        try:
            self._process.wait(timeout_s)
        except TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """End the session; the agent is hung up on, too, and ends by itself."""
        self._process.kill()
        self.has_ended(_KILLED_S)

    def hang_up(self) -> None:
        """Close the agent's standard input: it ends in order."""
        with contextlib.suppress(OSError):
            self.stdin.close()

    def close(self) -> None:
        """Let go of it, when it has ended. Again is no error."""
        self.hang_up()
        self.stdout.close()


class Connection:
    """The connection to one VM. Undo: `close`, when its sessions have been closed; or the end of this process."""

    def __init__(self, destination: Destination, *, config: str = "") -> None:
        """Prepare it; `open` makes it. `config` is the configuration file that ssh is to read instead of the user's.

        Raises: UsageError where there is no ssh, or no such file.
        """
        if shutil.which("ssh") is None:
            raise UsageError("--target ssh://… needs OpenSSH's client", remedy="apt-get install openssh-client")
        if config and not Path(config).is_file():
            raise UsageError("there is no such configuration for ssh", where=config)
        self.destination = destination
        self._config = ("-F", config) if config else ()
        self._master: SshKeeper | None = None
        self._sockets = 0
        sweep()
        self._folder = _place() / stamp(f"ssh-{next(_CONNECTIONS)}")
        self._folder.mkdir(mode=0o700)

    def open(
        self, command: str, *, first: bytes, until: bytes, timeout_s: float, log: IO[bytes]
    ) -> tuple[SshKeeper, str]:
        """Connect, run a command there with `first` as the beginning of its input, and wait for a line from it.

        Gives the session and the rest of the line that begins with `until`.

        Raises: UsageError with ssh's words.
        """
        timeouts = (f"ConnectTimeout={_CONNECT_S}", f"ServerAliveInterval={_ALIVE_S}", "ServerAliveCountMax=3")
        options = (*timeouts, "ClearAllForwardings=yes", "StreamLocalBindUnlink=yes")
        self._master = SshKeeper(talk([*self._ssh(*options), "-M", *self._whom(), command], log=log))
        # Whoever neither answers nor hangs up is hung up on.
        deadline = threading.Timer(timeout_s, self._master.kill)
        deadline.start()
        try:
            said = _tell(self._master, first, until)
        finally:
            deadline.cancel()
        if said is None:
            self._master.kill()
            raise refusal(self.destination, log_tail(log) or f"nothing came within {timeout_s:.0f} s")
        return self._master, said

    def session(self, command: str, *, log: IO[bytes]) -> SshKeeper:
        """Run a command there over the connection.

        Raises: LabError where that is lost.
        """
        self.check_alive()
        # A master that refuses (sshd's MaxSessions) or is lost is not to be gone round by a connection of its own.
        return SshKeeper(talk([*self._ssh("ControlMaster=no", "ProxyCommand=false"), *self._whom(), command], log=log))

    def forward(self, there: str) -> str:
        """Give the path of a socket here that leads to the socket `there`.

        Raises: LabError.
        """
        self.check_alive()
        self._sockets += 1
        here = self._folder / f"{self._sockets}.sock"
        argv = [*self._ssh("ControlMaster=no"), "-O", "forward", "-L", f"{here}:{there}", *self._whom()]
        run(argv, timeout_s=_FORWARD_S).checked(
            f"could not have a socket of {self.destination} forwarded",
            LabError,
            remedy="AllowStreamLocalForwarding of its sshd says whether it may be",
        )
        return str(here)

    def check_alive(self) -> None:
        """Raises: LabError where it is lost."""
        if self._master is None or self._master.has_ended():
            raise LabError("the connection to the VM is lost", where=str(self.destination))

    def close(self) -> None:
        """End what is left of it, and leave no file here."""
        if self._master is not None and not self._master.has_ended():
            self._master.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ssh(self, *options: str) -> list[str]:
        chosen = (*_OWN, *options, f"ControlPath={str(self._folder / 'ssh').replace('%', '%%')}")
        return ["ssh", "-T", *self._config, *(word for option in chosen for word in ("-o", option))]

    def _whom(self) -> list[str]:
        whom = self.destination
        user, port = ["-l", whom.user] if whom.user else [], ["-p", str(whom.port)] if whom.port else []
        return [*user, *port, "--", whom.host]


_REMEDIES = (
    ("host key", "compare its key with what the VM's console says, then let ssh know it: connect once by hand"),
    ("remote host identification", "another machine answers there, or a new one: see known_hosts"),
    ("permission denied", "let the VM have your public key: ssh-copy-id"),
    ("3.11", "take a VM with Python 3.11 or later, such as Debian 12"),
    ("sudo", "root without a password is needed there: `USER ALL=(ALL) NOPASSWD: ALL` in /etc/sudoers.d"),
    ("python3", "apt-get install python3 there, 3.11 or later"),
)


def refusal(destination: Destination, words: str) -> UsageError:
    """Give the error for a VM on which nothing can be done, with the words of whoever refused."""
    remedies = (remedy for mark, remedy in _REMEDIES if mark in words.lower())
    return UsageError(
        "the VM can't be visited",
        where=str(destination),
        returned=words,
        remedy=next(remedies, f"find out whether `ssh {destination.host} true` works"),
    )


def _tell(session: SshKeeper, first: bytes, until: bytes) -> str | None:
    """Say something, read lines until one that begins so, and not a byte more; give its rest, None where none comes.

    What stands before comes from the user's login files.
    """
    try:
        session.stdin.write(first)
        session.stdin.flush()
    except OSError:
        # It has ended, and its log says why.
        return None
    line = b""
    while byte := os.read(session.stdout.fileno(), 1):
        if byte != b"\n":
            line += byte
        elif line.startswith(until):
            return line.removeprefix(until).decode(errors="replace")
        else:
            line = b""
    return None


def _place() -> Path:
    """Where folders for sockets go: a socket's path may have 107 bytes, and ssh adds some to it."""
    usual = tempfile.gettempdir()
    return Path(usual if len(usual) <= _LONGEST_PLACE else "/tmp")  # noqa: S108 – the folders are private


def sweep() -> list[Path]:
    """Remove the folders of dead runs' sockets, and nothing else. Gives those that were removed."""
    found = [path for path in _place().glob("netfacts-*-ssh-*") if owner_is_dead(path.name)]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return [path for path in found if not path.exists()]
