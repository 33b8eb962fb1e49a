"""netfacts on a machine of namespaces, and others that it reaches over ssh."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from netfacts.lab import Machine
from netfacts.lab.remote import PATIENCE
from netfacts.lab.wait import until
from netfacts.run import Finished, run
from selftests.whole.conftest import PATIENCE_S, ROOT

FOLDER = "/run/ssh"
SSHD = "/usr/sbin/sshd"
PORT = 2222
AGENTS_S = 8
"""How long agents go on without a sign of life."""
_KEY_S = 20.0
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": str(ROOT),
    # What Python needs where it was installed for one user.
    **{name: os.environ[name] for name in ("VIRTUAL_ENV", "PYTHONHOME") if name in os.environ},
}
_SSHD_CONFIG = f"""\
Port {{port}}
HostKey {FOLDER}/host_key
AuthorizedKeysFile {FOLDER}/authorized_keys
PidFile {FOLDER}/sshd{{port}}.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
{{also}}
"""


class Near:
    """The machine that netfacts runs on."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def argv(self, target: str, *arguments: str, known: str = "known_hosts") -> list[str]:
        config = ("--ssh-config", f"{FOLDER}/{known}.config")
        return [sys.executable, "-m", "netfacts", "run", "--target", target, *config, "--out", "/tmp/out", *arguments]

    def run(self, target: str, *arguments: str, known: str = "known_hosts") -> Finished:
        """Run netfacts to its end."""
        self.machine.execute(["rm", "-rf", "/tmp/out"])
        argv = self.argv(target, *arguments, known=known)
        return self.machine.execute(argv, env=ENVIRONMENT, timeout_s=PATIENCE_S)

    def start(self, target: str, *arguments: str) -> int:
        """Start netfacts; gives its PID."""
        self.machine.execute(["rm", "-rf", "/tmp/out", "/tmp/said"])
        env = ENVIRONMENT | {PATIENCE: str(AGENTS_S)}
        call = self.machine.agent.call
        return int(call("spawn", argv=self.argv(target, *arguments), env=env, log="/tmp/said", root="", name="")["pid"])

    def wait(self, pid: int) -> int | None:
        """Wait for netfacts to end; gives its exit status."""
        status: int | None = self.machine.agent.call("wait", pid=pid, timeout_s=PATIENCE_S)["exit"]
        return status

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The whole lines of a kind in the record so far."""
        (text,) = self.machine.read("/tmp/out/record.jsonl")
        whole = (text or "").rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["kind"] == kind]

    def until_verdicts(self, count: int) -> None:
        def judged() -> bool:
            return sum(line["verdict"] == "conforms" for line in self.lines("verdict")) >= count

        until(judged, what=f"{count} verdicts: {self.machine.read('/tmp/said')}", timeout_s=PATIENCE_S)

    def left(self) -> list[str]:
        """What is left in its files."""
        return [name for name in self.machine.names("/tmp") or () if name.startswith("netfacts-")]


def write(machine: Machine, name: str, text: str, mode: str = "600") -> None:
    """Write a file of ssh's."""
    machine.agent.call("write", path=f"{FOLDER}/{name}", text=text)
    machine.execute(["chmod", mode, f"{FOLDER}/{name}"])


def serve_ssh(vms: Sequence[Machine], near: Machine, keys: Path, *, configs: Mapping[int, str]) -> None:
    """Start an sshd on each VM for each port of `configs`, with these lines, and give `near` the key to them.

    `near` knows them by `known_hosts.config`, and by `strangers.config` it does not.
    """
    for program in (SSHD, "ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install openssh-server openssh-client")
    host_key, host_public = _make_key(keys, "host")
    identity, public = _make_key(keys, "identity")
    for vm in vms:
        write(vm, "host_key", host_key)
        write(vm, "authorized_keys", public, "644")
        vm.execute(["mkdir", "-p", "/run/sshd"])
        for port, also in configs.items():
            path = f"{FOLDER}/sshd{port}_config"
            vm.agent.call("write", path=path, text=_SSHD_CONFIG.format(port=port, also=also))
            argv = [SSHD, "-D", "-e", "-f", path]
            vm.agent.call("spawn", argv=argv, env=ENVIRONMENT, log=f"{FOLDER}/log", root="", name="")
        # On a machine of netfacts' own nothing can be written there, and on a VM something can.
        vm.execute(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/var/tmp"])
    write(near, "identity", identity)
    write(near, "known_hosts", "".join(f"[{vm.address}]:{port} {host_public}" for vm in vms for port in configs))
    write(near, "strangers", "")
    for known in ("known_hosts", "strangers"):
        config = f"IdentityFile {FOLDER}/identity\nIdentitiesOnly yes\nUserKnownHostsFile {FOLDER}/{known}\n"
        write(near, f"{known}.config", f"{config}StrictHostKeyChecking yes\n")
    pids = [f"{FOLDER}/sshd{port}.pid" for port in configs]
    for vm in vms:
        until(partial(_all_there, vm, pids), what=f"sshd: {vm.read(f'{FOLDER}/log')}", timeout_s=30)


def _all_there(vm: Machine, paths: Sequence[str]) -> bool:
    return all(map(vm.exists, paths))


def _make_key(folder: Path, name: str) -> tuple[str, str]:
    path = folder / name
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], timeout_s=_KEY_S)
    return path.read_text(), path.with_suffix(".pub").read_text()


def agents(vm: Machine) -> list[str]:
    """Agents on a VM that came over ssh."""
    pids = [name for name in vm.names("/proc") or () if name.isdigit()]
    command_lines = vm.read(*(f"/proc/{pid}/cmdline" for pid in pids))
    return [line.replace("\0", " ") for line in command_lines if line and "agent.pyz" in line]


def uploaded(vm: Machine) -> list[str]:
    """Folders on a VM that agents came in."""
    return [name for name in vm.names("/var/tmp") or () if name.startswith("netfacts-")]
