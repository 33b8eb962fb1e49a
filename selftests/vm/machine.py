"""Virtual machines of QEMU, each booted from a throw-away copy of the image and reached over ssh."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import secrets
import shlex
import socket
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal

from netfacts.lab.wait import until
from netfacts.model.errors import LabError
from netfacts.run import Finished, run
from selftests.vm.image import PLACES, USER, Image

# Emulated, its engine runs after half a minute; two that boot on two cores need one. The rest is for a busy machine.
BOOT_S = 240.0
_SEND_S = 180.0
SSH_S = 60.0
_QMP_S = 10.0
_KVM_S = 5.0
_BANNER_S = 2.0
_LOG_LINES = 15
_ENGINE_UNITS = ("docker.service", "docker.socket", "containerd.service")
_COMMAND_LINE = "root=/dev/vda rw fsck.mode=skip console=ttyS0 quiet net.ifnames=0 random.trust_cpu=on"

Nic = Literal["ssh", "segment"]


class Segment:
    """A wire between VMs, closed to everybody else: a multicast group on the loopback interface."""

    def __init__(self) -> None:
        # 239.255/16 is a site's own (RFC 2365). Two runs at once must not meet.
        self.group = IPv4Address(int(IPv4Address("239.255.0.0")) + secrets.randbelow(2**16))
        self.port = 20000 + secrets.randbelow(10000)

    @property
    def netdev(self) -> str:
        return f"socket,mcast={self.group}:{self.port},localaddr=127.0.0.1"


@dataclass
class VirtualMachine:
    """A VM that runs. `ready` has to be waited for; `close` ends it, and so does the end of the harness.

    `ssh_config` is a configuration for `ssh -F` in which this VM has an entry under its name, as have all others that
    were booted in the same folder.
    """

    name: str
    image: Image
    folder: Path
    segment: Segment
    engine: bool = True
    """Whether dockerd is started. It is installed in any case."""

    def __post_init__(self) -> None:
        self.place = PLACES[self.name]
        self.ipv4, self.ipv6 = self.place.ipv4, self.place.ipv6
        self.console = self.folder / f"{self.name}.console"
        self.ssh_config = self.folder / "ssh_config"
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                self._argv(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=(self.folder / f"{self.name}.qemu").open("wb"),
                pass_fds=[theirs.fileno()],
                # Ctrl-C in a terminal is for the harness.
                start_new_session=True,
            )
        ours.settimeout(_QMP_S)
        self._qmp = ours
        self._answers = ours.makefile("rb")
        try:
            self._answer("QMP")
            self._ask("qmp_capabilities")
            self.port = self._find_port()
            self._add_to_ssh_config()
        except BaseException:
            self.close()
            raise

    def _argv(self, qmp: int) -> list[str]:
        accelerator = ["-accel", "kvm", "-cpu", "host"] if has_kvm(self.image) else ["-accel", "tcg,thread=multi"]
        line = f"{_COMMAND_LINE} systemd.hostname={self.name}"
        if not self.engine:
            line += "".join(f" systemd.mask={unit}" for unit in _ENGINE_UNITS)
        return [
            # The kernel ends it with the thread that started it, however that ends.
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-name", self.name, *accelerator, "-smp", "2", "-m", "1536"),
            *("-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd), "-append", line),
            # What it writes goes to a file without a name.
            *("-drive", f"file={self.image.disk},format=raw,if=virtio,snapshot=on"),
            *("-device", "virtio-rng-pci", "-serial", f"file:{self.console}"),
            # `restrict`: it reaches nothing of this machine's network, and is reached through that one port only.
            *("-netdev", "user,id=ssh,restrict=on,hostfwd=tcp:127.0.0.1:0-:22"),
            *("-device", "virtio-net-pci,id=nic-ssh,netdev=ssh,mac=52:54:00:12:34:56,romfile="),
            *("-netdev", f"{self.segment.netdev},id=segment"),
            *("-device", f"virtio-net-pci,id=nic-segment,netdev=segment,mac={self.place.mac},romfile="),
            *("-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control"),
        ]

    # -- reaching it

    @property
    def pid(self) -> int:
        """The process of QEMU."""
        return self._process.pid

    @property
    def ssh_options(self) -> tuple[str, ...]:
        """What `ssh NAME` has to be given: whom to log in as, with which key, and whom to expect there."""
        return ("-F", str(self.ssh_config))

    def ssh(self, *argv: str, user: str = USER, timeout_s: float = SSH_S, text: str = "") -> Finished:
        """Run a program in there, with `text` as its input. 255 is ssh's own exit status."""
        return run(["ssh", *self.ssh_options, "-l", user, self.name, shlex.join(argv)], timeout_s=timeout_s, text=text)

    def sudo(self, *argv: str, timeout_s: float = SSH_S, text: str = "") -> Finished:
        """Run a program in there as root."""
        return self.ssh("sudo", "-n", *argv, timeout_s=timeout_s, text=text)

    def put(self, text: str, path: str, *, mode: str = "644") -> None:
        """Write a file in there, as root. Raises: LabError."""
        self.sudo("install", "-D", "-m", mode, "/dev/stdin", path, text=text).checked(
            f"no {path} on {self.name}", LabError
        )

    def send(self, archive: bytes, folder: str) -> None:
        """Unpack a compressed tar archive in a new folder in there, as root. Raises: CalledProcessError."""
        unpack = f"mkdir -p {shlex.quote(folder)} && tar -xz -C {shlex.quote(folder)}"
        argv = ["ssh", *self.ssh_options, "-l", USER, self.name, f"sudo -n sh -c {shlex.quote(unpack)}"]
        subprocess.run(argv, input=archive, timeout=_SEND_S, check=True)

    def ready(self, *, timeout_s: float = BOOT_S) -> None:
        """Wait until it has booted: all units are there, dockerd among them where there is to be one.

        Raises: LabError with the end of its console, or with the units that failed.
        """
        until(self._banner, what=f"ssh of {self.name}", timeout_s=timeout_s, error=self._error)
        state = self.ssh("systemctl", "is-system-running", "--wait", timeout_s=timeout_s)
        if state.out.strip() != "running":
            failed = self.ssh("systemctl", "--failed", "--no-legend", "--plain")
            raise self._error(f"{self.name} has booted, but not well: {state.out or state.err}{failed.out}")

    def _banner(self) -> bool:
        """Whether sshd says hello. That QEMU accepts the connection says nothing: it always does."""
        if (status := self._process.poll()) is not None:
            raise self._error(f"QEMU ended while {self.name} was booting: exit status {status}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), _BANNER_S) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def _error(self, attempted: str) -> LabError:
        said = [
            line
            for path in (self.console, self.folder / f"{self.name}.qemu")
            if path.exists()
            for line in path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        ]
        return LabError(attempted, where=self.name, returned="\n".join(said))

    def _find_port(self) -> int:
        # Chosen by the kernel: one that was looked for beforehand could be taken meanwhile.
        said = self._ask("human-monitor-command", **{"command-line": "info usernet"})
        match = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s", said)
        if match is None:
            raise self._error(f"QEMU forwards no port to {self.name}: {said}")
        return int(match[1])

    def _add_to_ssh_config(self) -> None:
        known = self.folder / "known_hosts"
        with known.open("a") as file:
            file.write(f"[127.0.0.1]:{self.port} {self.image.host_key}\n")
        with self.ssh_config.open("a") as file:
            file.write(
                f"Host {self.name}\n  HostName 127.0.0.1\n  Port {self.port}\n  User {USER}\n"
                f"  IdentityFile {self.image.identity}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
                f"  UserKnownHostsFile {known}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
                "  BatchMode yes\n  LogLevel ERROR\n"
            )

    # -- breaking it

    def unplug(self, nic: Nic = "ssh") -> None:
        """Pull the cable of one of its interfaces: nothing comes through, and nobody is told."""
        self._ask("set_link", name=f"nic-{nic}", up=False)

    def plug(self, nic: Nic = "ssh") -> None:
        """Put the cable back."""
        self._ask("set_link", name=f"nic-{nic}", up=True)

    def freeze(self) -> None:
        """Stop its processors."""
        self._ask("stop")

    def thaw(self) -> None:
        """Let them go on."""
        self._ask("cont")

    def kill(self) -> None:
        """Pull the plug: whoever is connected is told so by this machine."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it. It may have ended already."""
        self.kill()
        self._answers.close()
        self._qmp.close()

    def _ask(self, command: str, **arguments: Any) -> Any:
        self._qmp.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        return self._answer("return")

    def _answer(self, key: str) -> Any:
        try:
            # Events come in between.
            for line in self._answers:
                said = json.loads(line)
                if "error" in said:
                    raise self._error(f"QEMU refused what was asked of {self.name}: {said['error']['desc']}")
                if key in said:
                    return said[key]
        except OSError as error:
            raise self._error(f"QEMU said nothing for {_QMP_S:.0f} s, running {self.name}: {error}") from None
        raise self._error(f"QEMU could not start {self.name}, or has ended")


@functools.cache
def has_kvm(image: Image) -> bool:
    """Say whether the processor's virtualisation works: tried out, since /dev/kvm may be there and yet hang.

    A kernel that finds no disk panics, and QEMU ends instead of booting it again.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-accel", "kvm"]
    argv += ["-cpu", "host", "-smp", "2", "-m", "256", "-kernel", str(image.kernel), "-serial", "stdio"]
    done = run([*argv, "-append", "console=ttyS0 panic=-1"], timeout_s=_KVM_S)
    return done.exit_status == 0 and "Kernel panic" in done.out
