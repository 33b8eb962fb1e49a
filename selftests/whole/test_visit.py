"""`--target local`: a machine of namespaces plays the user's, with an engine that others use; netfacts runs in it."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from netfacts.engine import Engine, resolve
from netfacts.engine.application import ready
from netfacts.engine.installed import RUN_LABEL
from netfacts.engine.packaged import obstacle
from netfacts.engine.recipe import APPLICATIONS, FLASK_REDIS
from netfacts.lab import Lab, of_machine
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.lab.wait import until
from netfacts.model.errors import ProbeError
from netfacts.model.lab import SHAPES
from netfacts.observe.inventory import Inventory, take
from netfacts.probe import listen, start_flow, stop_flows
from netfacts.run import Finished
from netfacts.topology import Host
from selftests.whole.conftest import ENGINE, PATIENCE_S, ROOT

_PORT = 80
_ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",
    "LC_ALL": "C.UTF-8",
    "DOCKER_HOST": "unix:///run/docker.sock",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": str(ROOT),
    # What Python needs where it was installed for one user.
    **{name: os.environ[name] for name in ("VIRTUAL_ENV", "PYTHONHOME") if name in os.environ},
}


@dataclass
class Played:
    """A user's machine: `user` builds on its engine what netfacts must not touch. `lab` has a client, too."""

    lab: Lab
    user: Host

    @property
    def engine(self) -> Engine:
        return self.user.engine

    def argv(self, *arguments: str, out: str = "/tmp/out", target: Sequence[str] = ("--target", "local")) -> list[str]:
        return [sys.executable, "-m", "netfacts", "run", *target, "--out", out, *arguments]

    def run(self, *arguments: str, environment: dict[str, str] | None = None, **of_run: Any) -> Finished:
        """Run netfacts on the machine, to its end."""
        argv = self.argv(*arguments, **of_run)
        return self.user.machine.execute(argv, env=_ENVIRONMENT | (environment or {}), timeout_s=PATIENCE_S)

    def start(self, *arguments: str) -> int:
        """Start netfacts on the machine; gives its PID there."""
        argv = self.argv(*arguments)
        call = self.user.machine.agent.call
        return int(call("spawn", argv=argv, env=_ENVIRONMENT, log="/tmp/said", root="", name="")["pid"])

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The whole lines of a kind in the record so far."""
        (text,) = self.user.machine.read("/tmp/out/record.jsonl")
        whole = (text or "").rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["kind"] == kind]

    def until_verdicts(self, count: int) -> None:
        def judged() -> bool:
            return sum(line["verdict"] == "conforms" for line in self.lines("verdict")) >= count

        until(judged, what=f"{count} verdicts", timeout_s=PATIENCE_S)

    def made_by_runs(self) -> list[str]:
        """What runs have made on the engine."""
        api = self.engine.api
        labelled = {"filters": {"label": RUN_LABEL}}
        found = [*api.containers(all=True, **labelled), *api.networks(**labelled), *api.images(**labelled)]
        return [one["Id"] for one in found]

    def changes(self, since: Inventory) -> list[str]:
        """What is different; but for the agent that looks, and for the cgroups of other labs on this machine."""
        foreign = ("nf-worker", "netfacts-")
        return [
            str(one)
            for one in since.changes(take(self.engine))
            if self.engine.cgroup in one.thing or not any(word in one.thing for word in foreign)
        ]

    def until_as_before(self, before: Inventory) -> None:
        """Wait until nothing is different any more."""
        until(lambda: not self.changes(before), what=f"{self.changes(before)} to go", timeout_s=60)


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Lab, Engine]]:
    lab, cgroup = Lab(SHAPES["host-and-outside"]), stamp("played")
    try:
        yield lab, Engine(lab["host"], resolve(ENGINE), cgroup=cgroup)
    finally:
        lab.close()
        remove_cgroups(cgroup)


@pytest.fixture
def played(lab: tuple[Lab, Engine]) -> Iterator[Played]:
    """A machine with containers of its user's, a published port among what they have."""
    running, engine = lab
    user = Host(engine, check="the user's")
    net = user.network("theirs")
    user.container("web", network=net, publish={"8080/tcp": _PORT, "8080/udp": _PORT})
    user.container("box", network=net)
    user.container("beside")
    # Its engine keeps a mount from the first of them on, whoever starts it.
    user.container("direct", mode="host")
    running["host"].execute(["rm", "-rf", "/tmp/out"])
    yield Played(running, user)
    user.close()


# -- beside others


def test_visit_beside_busy_containers_loses_none_of_their_packets(played: Played) -> None:
    web, box = played.user.find("web"), played.user.find("box")
    client, host = of_machine(played.lab["client"]), played.user
    for protocol in ("tcp", "udp"):
        listen(web.vantage, 8080, protocol=protocol)
    flows = [
        start_flow(client, host.address, _PORT, protocol="tcp"),
        start_flow(client, host.address, _PORT, protocol="udp"),
        start_flow(box.vantage, web.address, 8080, protocol="udp"),
        start_flow(host.vantage, web.address, 8080, protocol="udp"),
    ]
    before = take(played.engine)

    done = played.run("-k", "publish.basic or proxy.per-mapping or alias or veth or isolation")

    accounts = stop_flows(*flows)
    assert done.exit_status == 0, done.out + done.err
    assert all(account.sent > 100 for account in accounts)
    assert [account.sent - account.answered for account in accounts] == [0, 0, 0, 0]
    (host_line,) = played.lines("host")
    assert host_line["left"] == []
    assert "as it was" in done.out
    played.until_as_before(before)
    assert played.made_by_runs() == []
    verdicts = {line["fact"]: line["verdict"] for line in played.lines("verdict")}
    assert verdicts["publish.basic"] == verdicts["veth.pair"] == verdicts["isolation.bridges"] == "conforms"
    assert verdicts["veth.peer-ifindex"] == "conforms"


def test_facts_that_need_another_engine_are_not_exercised_and_say_why(played: Played) -> None:
    chosen = ["hosts.host-gateway", "docker0.empty-bridge", "dns.no-upstream", "overlay.reach", "v6.ip6tables"]

    done = played.run("-k", " or ".join([*chosen, "nullwire.works", "brphys.listing"]))

    reasons = {line["fact"]: line["reason"] for line in played.lines("verdict") if line["verdict"] == "not_exercised"}
    assert "other flags (--ipv6" in reasons["hosts.host-gateway"], reasons
    assert "containers of others" in reasons["docker0.empty-bridge"]
    assert "nameservers of the host" in reasons["dns.no-upstream"]
    assert "several hosts" in reasons["overlay.reach"]
    assert "a port of br0" in reasons["brphys.listing"]
    assert "links, addresses and routes" in reasons["nullwire.works"]
    assert done.exit_status in (0, 5)


def test_applications_are_taken_away_with_the_visit(played: Played) -> None:
    if remedy := obstacle(*APPLICATIONS.values()):
        pytest.skip(f"images of applications can't be had: {remedy}")
    for application in APPLICATIONS.values():
        # The machine that plays the user's reads this one's cache, and can't write to it.
        ready(application)
    before = take(played.engine)

    done = played.run("-k", "app.redis-published or app.mysql-published or app.redis-private")

    assert done.exit_status == 0, done.out + done.err
    assert [line["verdict"] for line in played.lines("verdict")] == ["conforms"] * 3
    played.until_as_before(before)
    assert played.made_by_runs() == []


def test_port_of_an_application_that_somebody_serves_is_left_to_them(played: Played) -> None:
    if remedy := obstacle(*APPLICATIONS.values()):
        pytest.skip(f"images of applications can't be had: {remedy}")
    ready(FLASK_REDIS)
    listener = listen(played.user.vantage, 6379)

    done = played.run("-k", "app.redis-published")
    listener.close()

    (line,) = played.lines("verdict")
    assert (done.exit_status, line["verdict"]) == (5, "not_exercised"), done.out + done.err
    assert "TCP port 6379 of the host" in line["reason"]


# -- what is left


def test_rule_that_appears_meanwhile_is_named(played: Played) -> None:
    rule = ["FORWARD", "-s", "192.0.2.99", "-j", "DROP"]
    pid = played.start("-k", "dns or alias")
    try:
        played.until_verdicts(1)
        played.engine.execute(["iptables", "-I", *rule])

        status = played.user.machine.agent.call("wait", pid=pid, timeout_s=PATIENCE_S)["exit"]

        (said,) = played.user.machine.read("/tmp/said")
        assert status == 3, said
        (host,) = played.lines("host")
        assert any("192.0.2.99" in line and line.startswith("+ iptables") for line in host["left"])
        assert "192.0.2.99" in (said or "")
    finally:
        played.engine.execute(["iptables", "-D", *rule])


@pytest.mark.parametrize("after", [0, 1, 3])
def test_killed_visit_leaves_nothing(played: Played, after: int) -> None:
    before = take(played.engine)
    pid = played.start("-k", "dns or alias or publish")
    if after:
        played.until_verdicts(after)
    else:
        until(played.made_by_runs, what="the first thing that the run makes", timeout_s=PATIENCE_S)

    played.user.machine.kill(pid)

    until(lambda: not played.made_by_runs(), what="all that it made to go", timeout_s=60)
    played.until_as_before(before)


def test_next_visit_removes_what_a_visit_left_whose_agent_was_killed_too(played: Played) -> None:
    dead = {RUN_LABEL: "netfacts-999999-1"}
    kept = played.user.container("keeps", labels={RUN_LABEL: "somebody's"})
    left = played.user.container("left", labels=dead)

    done = played.run("-k", "alias.short-id")

    assert done.exit_status == 0, done.out + done.err
    ids = {one["Id"] for one in played.engine.api.containers(all=True)}
    assert kept.id in ids
    assert left.id not in ids


# -- refusals


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {"DOCKER_HOST": "tcp://198.51.100.10:2375"}, "DOCKER_HOST is tcp://"),
        ([], {"DOCKER_HOST": "unix:///run/nobody.sock"}, "no engine answers"),
        (["-n", "2"], {}, "one engine, and one lab"),
        (["--from", "system"], {}, "take another's place"),
    ],
)
def test_what_cannot_be_asked_of_somebodys_engine_is_refused(
    played: Played, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    done = played.run(*arguments, environment=environment)

    assert done.exit_status == 4
    assert words in done.out + done.err
    assert played.made_by_runs() == []


def test_second_visit_at_the_same_time_is_refused(played: Played) -> None:
    pid = played.start("-k", "dns")
    played.until_verdicts(1)

    done = played.run(out="/tmp/second")

    assert done.exit_status == 4
    assert "another run of netfacts" in done.out + done.err
    played.user.machine.kill(pid)
    until(lambda: not played.made_by_runs(), what="all that it made to go", timeout_s=60)


# -- without root


def test_visit_without_root_judges_what_the_api_tells_and_names_the_rest(played: Played) -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    python = _readable_python(played, nobody)
    played.user.machine.execute(["chmod", "666", "/run/docker.sock"])
    before = take(played.engine)
    argv = [*nobody, python, *played.argv("-k", "modes or api or publish.basic or dns.scope", out="/tmp/nobody")[1:]]

    done = played.user.machine.execute(argv, env=_ENVIRONMENT | _own_packages(), timeout_s=PATIENCE_S)

    assert done.exit_status == 0, done.out + done.err
    (text,) = played.user.machine.read("/tmp/nobody/record.jsonl")
    lines = [json.loads(line) for line in (text or "").splitlines()]
    verdicts = {line["fact"]: (line["verdict"], line["reason"]) for line in lines if line["kind"] == "verdict"}
    assert verdicts["modes.name-of-default"][0] == "conforms"
    assert verdicts["api.serves-1-24"][0] == "conforms"
    for fact in ("publish.basic", "dns.scope"):
        assert verdicts[fact][0] == "not_exercised"
        assert "needs root" in verdicts[fact][1]
    (host,) = [line for line in lines if line["kind"] == "host"]
    assert host["left"] == []
    assert "iptables" in host["unread"]
    played.until_as_before(before)


def _own_packages() -> dict[str, str]:
    return {"PYTHONPATH": f"{ROOT}:{sysconfig.get_path('purelib')}"}


def _readable_python(played: Played, nobody: Sequence[str]) -> str:
    """An interpreter of this version that others than root can start, too. Needs: one."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        # setpriv may still start what the user whom it becomes may not.
        again = "import msgspec, docker, os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import pytest'])"
        argv = [*nobody, python, "-c", again]
        with contextlib.suppress(ProbeError):
            if played.user.machine.execute(argv, env=_ENVIRONMENT | _own_packages()).exit_status == 0:
                return python
    pytest.skip(f"{sys.executable} can be read by root alone, and there is no other of its version")
