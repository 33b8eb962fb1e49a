"""`--target ssh://…`: a machine of namespaces plays the VM, with sshd and an engine; netfacts runs on another one."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netfacts.engine import Engine, resolve
from netfacts.engine.installed import RUN_LABEL
from netfacts.lab import Lab, Machine
from netfacts.lab.remote import PATIENCE
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.lab.wait import until
from netfacts.model.lab import SHAPES
from netfacts.observe.inventory import Inventory, take
from netfacts.run import Finished, run
from netfacts.topology import Host
from selftests.whole.conftest import ENGINE, PATIENCE_S, ROOT

_PORT = 2222
_FOLDER = "/run/ssh"
_SSHD = "/usr/sbin/sshd"
_STRANGER = "guest"
"""May log in on the VM, and nothing else."""
_KEY_S = 20.0
# What ssh takes to notice that nobody answers any more, and as much again for a busy machine.
_CUT_S = 60.0
_AGENTS_S = 8

_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": str(ROOT),
    # What Python needs where it was installed for one user.
    **{name: os.environ[name] for name in ("VIRTUAL_ENV", "PYTHONHOME") if name in os.environ},
}

# Others listen for those that are configured in another way.
_FORWARDS_NOTHING, _TAKES_TWO = 2223, 2224
_SSHD_CONFIGS = {_PORT: "", _FORWARDS_NOTHING: "DisableForwarding yes", _TAKES_TWO: "MaxSessions 2"}
_SSHD_CONFIG = f"""\
Port {{port}}
HostKey {_FOLDER}/host_key
AuthorizedKeysFile {_FOLDER}/authorized_keys
PidFile {_FOLDER}/sshd{{port}}.pid
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
StrictModes no
{{also}}
"""


@dataclass
class Far:
    """A user's VM: `user` has containers on its engine. `near` is the machine that netfacts runs on."""

    lab: Lab
    user: Host

    @property
    def engine(self) -> Engine:
        return self.user.engine

    @property
    def near(self) -> Machine:
        return self.lab["client"]

    @property
    def vm(self) -> Machine:
        return self.lab["host"]

    def argv(self, *arguments: str, user: str = "root", known: str = "known_hosts", port: int = _PORT) -> list[str]:
        target = f"ssh://{user}@{self.vm.address}:{port}"
        config = ("--ssh-config", f"{_FOLDER}/{known}.config")
        return [sys.executable, "-m", "netfacts", "run", "--target", target, *config, "--out", "/tmp/out", *arguments]

    def run(self, *arguments: str, **of_ssh: Any) -> Finished:
        """Run netfacts to its end."""
        self.near.execute(["rm", "-rf", "/tmp/out"])
        return self.near.execute(self.argv(*arguments, **of_ssh), env=_ENVIRONMENT, timeout_s=PATIENCE_S)

    def start(self, *arguments: str) -> int:
        """Start netfacts; gives its PID."""
        self.near.execute(["rm", "-rf", "/tmp/out", "/tmp/said"])
        env = _ENVIRONMENT | {PATIENCE: str(_AGENTS_S)}
        call = self.near.agent.call
        return int(call("spawn", argv=self.argv(*arguments), env=env, log="/tmp/said", root="", name="")["pid"])

    def wait(self, pid: int) -> int | None:
        """Wait for netfacts to end; gives its exit status."""
        status: int | None = self.near.agent.call("wait", pid=pid, timeout_s=PATIENCE_S)["exit"]
        return status

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The whole lines of a kind in the record so far."""
        (text,) = self.near.read("/tmp/out/record.jsonl")
        whole = (text or "").rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["kind"] == kind]

    def until_verdicts(self, count: int) -> None:
        def judged() -> bool:
            return sum(line["verdict"] == "conforms" for line in self.lines("verdict")) >= count

        until(judged, what=f"{count} verdicts: {self.near.read('/tmp/said')}", timeout_s=PATIENCE_S)

    def made_by_runs(self) -> list[str]:
        """What runs have made on the engine."""
        api = self.engine.api
        labelled = {"filters": {"label": RUN_LABEL}}
        found = [*api.containers(all=True, **labelled), *api.networks(**labelled), *api.images(**labelled)]
        return [one["Id"] for one in found]

    def left(self, *, here: bool = True) -> list[str]:
        """What is left in files on the VM, and `here`, where netfacts ran."""
        found = [*(self.vm.names("/var/tmp") or ()), *((here and self.near.names("/tmp")) or ())]
        return [name for name in found if name.startswith("netfacts-")]

    def agents(self) -> list[str]:
        """Agents on the VM that came over ssh."""
        pids = [name for name in self.vm.names("/proc") or () if name.isdigit()]
        command_lines = self.vm.read(*(f"/proc/{pid}/cmdline" for pid in pids))
        return [line.replace("\0", " ") for line in command_lines if line and "agent.pyz" in line]

    def changes(self, since: Inventory) -> list[str]:
        """What is different; but for the agent that looks, the VM's sshd, and the cgroups of other labs."""
        foreign = ("nf-worker", "netfacts-", "sshd")
        return [
            str(one)
            for one in since.changes(take(self.engine))
            if self.engine.cgroup in one.thing or not any(word in one.thing for word in foreign)
        ]

    def until_as_before(self, before: Inventory) -> None:
        """Wait until nothing is different any more."""
        until(lambda: not self.changes(before), what=f"{self.changes(before)} to go", timeout_s=60)


def _write(machine: Machine, name: str, text: str, mode: str = "600") -> None:
    machine.agent.call("write", path=f"{_FOLDER}/{name}", text=text)
    machine.execute(["chmod", mode, f"{_FOLDER}/{name}"])


def _make_key(folder: Path, name: str) -> tuple[str, str]:
    path = folder / name
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], timeout_s=_KEY_S)
    return path.read_text(), path.with_suffix(".pub").read_text()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Engine]]:
    for program in (_SSHD, "ssh", "ssh-keygen"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed: apt-get install openssh-server openssh-client")
    keys = tmp_path_factory.mktemp("keys")
    lab, cgroup = Lab(SHAPES["host-and-outside"]), stamp("far")
    try:
        vm, near = lab["host"], lab["client"]
        host_key, host_public = _make_key(keys, "host")
        identity, public = _make_key(keys, "identity")
        _write(vm, "host_key", host_key)
        _write(vm, "authorized_keys", public, "644")
        passwd, shadow = vm.read("/etc/passwd", "/etc/shadow")
        vm.agent.call("write", path="/etc/passwd", text=f"{passwd}{_STRANGER}:x:4711:4711::/tmp:/bin/sh\n")
        vm.agent.call("write", path="/etc/shadow", text=f"{shadow}{_STRANGER}:*:1:0:99999:7:::\n")
        vm.execute(["mkdir", "-p", "/run/sshd"])
        for port, also in _SSHD_CONFIGS.items():
            path = f"{_FOLDER}/sshd{port}_config"
            vm.agent.call("write", path=path, text=_SSHD_CONFIG.format(port=port, also=also))
            argv = [_SSHD, "-D", "-e", "-f", path]
            vm.agent.call("spawn", argv=argv, env=_ENVIRONMENT, log=f"{_FOLDER}/log", root="", name="")
        _write(near, "identity", identity)
        _write(near, "known_hosts", "".join(f"[{vm.address}]:{port} {host_public}" for port in _SSHD_CONFIGS))
        _write(near, "strangers", "")
        for known in ("known_hosts", "strangers"):
            config = f"IdentityFile {_FOLDER}/identity\nIdentitiesOnly yes\nUserKnownHostsFile {_FOLDER}/{known}\n"
            _write(near, f"{known}.config", f"{config}StrictHostKeyChecking yes\n")
        engine = Engine(vm, resolve(ENGINE), cgroup=cgroup)
        # On a machine of netfacts' own nothing can be written there, and on a VM something can.
        vm.execute(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/var/tmp"])
        pids = [f"{_FOLDER}/sshd{port}.pid" for port in _SSHD_CONFIGS]
        until(lambda: all(map(vm.exists, pids)), what=f"sshd: {vm.read(f'{_FOLDER}/log')}", timeout_s=30)
        yield lab, engine
    finally:
        lab.close()
        remove_cgroups(cgroup)


@pytest.fixture
def far(lab: tuple[Lab, Engine]) -> Iterator[Far]:
    """A VM with two containers of its user's, a published port among what they have."""
    running, engine = lab
    user = Host(engine, check="the user's")
    net = user.network("theirs")
    user.container("web", network=net, publish={"8080/tcp": 80})
    user.container("box", network=net)
    user.container("beside")
    yield Far(running, user)
    user.close()


# -- a visit


def test_visit_over_ssh_conforms_and_leaves_nothing_at_either_end(far: Far) -> None:
    before = take(far.engine)

    done = far.run("-k", "publish.basic or dns.alias or veth.pair or isolation.bridges or remote.default-drop")

    assert done.exit_status == 0, done.out + done.err
    verdicts = {line["fact"]: line["verdict"] for line in far.lines("verdict")}
    assert verdicts["publish.basic"] == verdicts["veth.pair"] == verdicts["isolation.bridges"] == "conforms"
    assert far.lines("host")[0]["left"] == []
    far.until_as_before(before)
    assert far.made_by_runs() == []
    until(lambda: not far.agents(), what=f"the end of {far.agents()}", timeout_s=20)
    assert far.left() == []


def test_visit_needs_no_root_here(far: Far) -> None:
    identity, key = far.near.read(f"{_FOLDER}/identity")[0], "/tmp/identity"
    far.near.agent.call("write", path=key, text=identity)
    far.near.execute(["chown", "65534:65534", key])
    far.near.execute(["chmod", "600", key])
    far.near.execute(["chmod", "644", *(f"{_FOLDER}/{name}" for name in ("known_hosts", "known_hosts.config"))])
    _write(far.near, "nobody.config", f"IdentityFile {key}\nUserKnownHostsFile {_FOLDER}/known_hosts\n", "644")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")

    if far.near.execute([*nobody, sys.executable, "-c", "import pytest, typer"]).exit_status != 0:
        pytest.skip("the interpreter and its packages can be read by root alone")
    # What root has made there, nobody may not replace.
    far.near.execute(["rm", "-rf", "/tmp/out", "/tmp/latest"])
    argv = [*nobody, *far.argv("-k", "alias.short-id", known="nobody")]
    done = far.near.execute(argv, env=_ENVIRONMENT, timeout_s=PATIENCE_S)

    assert done.exit_status == 0, done.out + done.err
    assert [line["verdict"] for line in far.lines("verdict")] == ["conforms"]
    assert far.left() == []


# -- refusals


@pytest.mark.parametrize(
    ("of_ssh", "words", "remedy"),
    [
        ({"known": "strangers"}, "Host key verification failed", "connect once by hand"),
        ({"user": _STRANGER}, "sudo", "NOPASSWD"),
        ({"user": "nobody-at-all"}, "Permission denied", "ssh-copy-id"),
        ({"port": 9}, "Connection refused", "find out whether"),
        ({"port": _FORWARDS_NOTHING}, "can't be reached through ssh", "DisableForwarding"),
    ],
)
def test_vm_that_cannot_be_visited_is_refused_with_the_reason(
    far: Far, of_ssh: dict[str, Any], words: str, remedy: str
) -> None:
    done = far.run("-k", "alias", **of_ssh)

    said = done.out + done.err
    assert done.exit_status == 4, said
    assert words in said
    assert remedy in said
    assert far.left() == []


def test_sshd_that_takes_too_few_sessions_is_an_error_that_says_so(far: Far) -> None:
    done = far.run("-k", "alias", port=_TAKES_TWO)

    said = done.out + done.err
    assert done.exit_status == 3, said
    assert "open refused by peer" in said
    assert "MaxSessions" in said
    assert far.left() == []


# -- cut off


def test_cut_off_visit_is_inconclusive_and_its_agents_clean_up_by_themselves(far: Far) -> None:
    before = take(far.engine)
    pid = far.start("-k", "dns or alias or publish")
    far.until_verdicts(2)
    far.near.execute(["ip", "link", "set", "eth0", "down"])
    try:
        until(lambda: not far.made_by_runs(), what="the agents to remove what the run has made", timeout_s=_CUT_S)
        until(lambda: not far.agents(), what=f"the end of {far.agents()}", timeout_s=20)
        until(lambda: not far.left(here=False), what=f"{far.left(here=False)} to go", timeout_s=10)
        far.until_as_before(before)

        status = far.wait(pid)
    finally:
        far.near.execute(["ip", "link", "set", "eth0", "up"])
    (said,) = far.near.read("/tmp/said")
    assert status == 3, said
    verdicts = [line["verdict"] for line in far.lines("verdict")]
    assert "deviates" not in verdicts
    assert verdicts.count("inconclusive") > 1
    assert far.lines("end")
    assert far.near.exists("/tmp/out/index.html")
    assert far.left() == []


@pytest.mark.parametrize("after", [0, 2])
def test_killed_visit_leaves_nothing_at_either_end(far: Far, after: int) -> None:
    before = take(far.engine)
    pid = far.start("-k", "dns or alias or publish")
    if after:
        far.until_verdicts(after)
    else:
        until(far.made_by_runs, what="the first thing that the run makes", timeout_s=PATIENCE_S)

    far.near.kill(pid)

    # Sooner than by running out of patience: the end of the connection is told.
    until(lambda: not far.made_by_runs(), what="all that it made to go", timeout_s=30)
    until(lambda: not far.agents(), what=f"the end of {far.agents()}", timeout_s=30)
    until(lambda: not far.left(here=False), what=f"{far.left(here=False)} to go", timeout_s=10)
    far.until_as_before(before)
    # Nobody is there who could remove it: the sockets' folder goes with the next visit, or by hand.
    assert len(far.left()) == 1
    far.near.execute([sys.executable, "-m", "netfacts", "sweep"], env=_ENVIRONMENT, timeout_s=PATIENCE_S)
    assert far.left() == []
