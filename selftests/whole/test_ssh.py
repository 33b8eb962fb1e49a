"""`--target ssh://…`: a machine of namespaces plays the VM, with sshd and an engine; netfacts runs on another one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from netfacts.engine import Engine, resolve
from netfacts.engine.installed import RUN_LABEL
from netfacts.lab import Lab, Machine
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.lab.wait import until
from netfacts.model.lab import SHAPES
from netfacts.observe.inventory import Inventory, take
from netfacts.run import Finished
from netfacts.topology import Host
from selftests.whole.conftest import ENGINE, PATIENCE_S
from selftests.whole.near import ENVIRONMENT, FOLDER, PORT, Near, agents, serve_ssh, uploaded, write

_STRANGER = "guest"
"""May log in on the VM, and nothing else."""
# What ssh takes to notice that nobody answers any more, and as much again for a busy machine.
_CUT_S = 60.0

# Others listen for those that are configured in another way.
_FORWARDS_NOTHING, _TAKES_TWO = 2223, 2224
_SSHD_CONFIGS = {PORT: "", _FORWARDS_NOTHING: "DisableForwarding yes", _TAKES_TWO: "MaxSessions 2"}


@dataclass
class Far:
    """A user's VM: `user` has containers on its engine. `near` is the machine that netfacts runs on."""

    lab: Lab
    user: Host

    @property
    def engine(self) -> Engine:
        return self.user.engine

    @property
    def near(self) -> Near:
        return Near(self.lab["client"])

    @property
    def vm(self) -> Machine:
        return self.lab["host"]

    def target(self, *, user: str = "root", port: int = PORT) -> str:
        return f"ssh://{user}@{self.vm.address}:{port}"

    def run(self, *arguments: str, known: str = "known_hosts", **of_ssh: Any) -> Finished:
        """Run netfacts to its end."""
        return self.near.run(self.target(**of_ssh), *arguments, known=known)

    def made_by_runs(self) -> list[str]:
        """What runs have made on the engine."""
        api = self.engine.api
        labelled = {"filters": {"label": RUN_LABEL}}
        found = [*api.containers(all=True, **labelled), *api.networks(**labelled), *api.images(**labelled)]
        return [one["Id"] for one in found]

    def left(self) -> list[str]:
        """What is left in files at either end."""
        return [*uploaded(self.vm), *self.near.left()]

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


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Engine]]:
    lab, cgroup = Lab(SHAPES["host-and-outside"]), stamp("far")
    try:
        vm = lab["host"]
        passwd, shadow = vm.read("/etc/passwd", "/etc/shadow")
        vm.agent.call("write", path="/etc/passwd", text=f"{passwd}{_STRANGER}:x:4711:4711::/tmp:/bin/sh\n")
        vm.agent.call("write", path="/etc/shadow", text=f"{shadow}{_STRANGER}:*:1:0:99999:7:::\n")
        serve_ssh([vm], lab["client"], tmp_path_factory.mktemp("keys"), configs=_SSHD_CONFIGS)
        engine = Engine(vm, resolve(ENGINE), cgroup=cgroup)
        yield lab, engine
    finally:
        lab.close()
        remove_cgroups(cgroup)


@pytest.fixture
def far(lab: tuple[Lab, Engine]) -> Iterator[Far]:
    """A VM with containers of its user's, a published port among what they have."""
    running, engine = lab
    user = Host(engine, check="the user's")
    net = user.network("theirs")
    user.container("web", network=net, publish={"8080/tcp": 80})
    user.container("box", network=net)
    user.container("beside")
    # Its engine keeps a mount from the first of them on, whoever starts it.
    user.container("direct", mode="host")
    yield Far(running, user)
    user.close()


# -- a visit


def test_visit_over_ssh_conforms_and_leaves_nothing_at_either_end(far: Far) -> None:
    before = take(far.engine)

    done = far.run("-k", "publish.basic or dns.alias or veth.pair or isolation.bridges or remote.default-drop")

    assert done.exit_status == 0, done.out + done.err
    verdicts = {line["fact"]: line["verdict"] for line in far.near.lines("verdict")}
    assert verdicts["publish.basic"] == verdicts["veth.pair"] == verdicts["isolation.bridges"] == "conforms"
    assert far.near.lines("host")[0]["left"] == []
    far.until_as_before(before)
    assert far.made_by_runs() == []
    until(lambda: not agents(far.vm), what=f"the end of {agents(far.vm)}", timeout_s=20)
    assert far.left() == []


def test_visit_needs_no_root_here(far: Far) -> None:
    identity, key = far.near.machine.read(f"{FOLDER}/identity")[0], "/tmp/identity"
    far.near.machine.agent.call("write", path=key, text=identity)
    far.near.machine.execute(["chown", "65534:65534", key])
    far.near.machine.execute(["chmod", "600", key])
    far.near.machine.execute(["chmod", "644", *(f"{FOLDER}/{name}" for name in ("known_hosts", "known_hosts.config"))])
    write(far.near.machine, "nobody.config", f"IdentityFile {key}\nUserKnownHostsFile {FOLDER}/known_hosts\n", "644")
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")

    if far.near.machine.execute([*nobody, sys.executable, "-c", "import pytest, typer"]).exit_status != 0:
        pytest.skip("the interpreter and its packages can be read by root alone")
    # What root has made there, nobody may not replace.
    far.near.machine.execute(["rm", "-rf", "/tmp/out", "/tmp/latest"])
    argv = [*nobody, *far.near.argv(far.target(), "-k", "alias.short-id", known="nobody")]
    done = far.near.machine.execute(argv, env=ENVIRONMENT, timeout_s=PATIENCE_S)

    assert done.exit_status == 0, done.out + done.err
    assert [line["verdict"] for line in far.near.lines("verdict")] == ["conforms"]
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
    pid = far.near.start(far.target(), "-k", "dns or alias or publish")
    far.near.until_verdicts(2)
    far.near.machine.execute(["ip", "link", "set", "eth0", "down"])
    try:
        until(lambda: not far.made_by_runs(), what="the agents to remove what the run has made", timeout_s=_CUT_S)
        until(lambda: not agents(far.vm), what=f"the end of {agents(far.vm)}", timeout_s=20)
        until(lambda: not uploaded(far.vm), what=f"{uploaded(far.vm)} to go", timeout_s=10)
        far.until_as_before(before)

        status = far.near.wait(pid)
    finally:
        far.near.machine.execute(["ip", "link", "set", "eth0", "up"])
    (said,) = far.near.machine.read("/tmp/said")
    assert status == 3, said
    verdicts = [line["verdict"] for line in far.near.lines("verdict")]
    assert "deviates" not in verdicts
    assert verdicts.count("inconclusive") > 1
    assert far.near.lines("end")
    assert far.near.machine.exists("/tmp/out/index.html")
    assert far.left() == []


@pytest.mark.parametrize("after", [0, 2])
def test_killed_visit_leaves_nothing_at_either_end(far: Far, after: int) -> None:
    before = take(far.engine)
    pid = far.near.start(far.target(), "-k", "dns or alias or publish")
    if after:
        far.near.until_verdicts(after)
    else:
        until(far.made_by_runs, what="the first thing that the run makes", timeout_s=PATIENCE_S)

    far.near.machine.kill(pid)

    # Sooner than by running out of patience: the end of the connection is told.
    until(lambda: not far.made_by_runs(), what="all that it made to go", timeout_s=30)
    until(lambda: not agents(far.vm), what=f"the end of {agents(far.vm)}", timeout_s=30)
    until(lambda: not uploaded(far.vm), what=f"{uploaded(far.vm)} to go", timeout_s=10)
    far.until_as_before(before)
    # Nobody is there who could remove it: the sockets' folder goes with the next visit, or by hand.
    assert len(far.left()) == 1
    far.near.machine.execute([sys.executable, "-m", "netfacts", "sweep"], env=ENVIRONMENT, timeout_s=PATIENCE_S)
    assert far.left() == []
