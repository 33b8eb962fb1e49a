"""Labs made real: they come up as declared, keep to themselves, and leave nothing behind however they end.

Every test counts what is its own, by PID or namespace: other runs may build and end labs on this machine meanwhile.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from netfacts.engine import Engine, Installation, resolve
from netfacts.lab import Lab, Machine, of_machine
from netfacts.lab.stamp import remove_cgroups, stamp, start_time, sweep
from netfacts.lab.wait import until
from netfacts.model.errors import LabError, NetfactsError, ProbeError
from netfacts.model.lab import SHAPES, LabSpec
from netfacts.model.verdict import Outcome
from netfacts.observe import links, routes, sysctl
from netfacts.probe import ask, icmp, listen, query, tcp
from netfacts.probe import resolve as look_up

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="not root: labs are made of namespaces, interfaces and mounts, which only root may make"
)

_ROOT = Path(__file__).resolve().parents[2]
_GONE_S = 10.0
_CGROUPS = Path("/sys/fs/cgroup")
_NAMESPACES = ("net", "mnt", "pid", "uts", "ipc")
# Linux's own for an answer to a ping; every router on its way takes one.
_TTL = 64


@pytest.fixture(scope="module", params=SHAPES)
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    built = Lab(SHAPES[request.param])
    yield built
    built.close()


# -- as declared


def test_every_machine_reaches_every_address_of_the_others(lab: Lab) -> None:
    pairs = list(itertools.permutations(lab.machines.values(), 2))

    answers = ask(*(icmp(of_machine(here), address) for here, there in pairs for address in there.addresses))

    assert {str(answer.probe.address) for answer in answers if ":" in answer.probe.address}
    assert [
        f"{answer.probe.vantage}: {answer.probe}" for answer in answers if answer.outcome != Outcome.CONNECTED
    ] == []


def test_only_what_stands_on_another_segment_is_a_router_away(lab: Lab) -> None:
    pairs = list(itertools.permutations(lab.machines.values(), 2))

    answers = ask(*(icmp(of_machine(here), there.address) for here, there in pairs))

    ttls = {(here.name, there.name): answer.ttl for (here, there), answer in zip(pairs, answers, strict=True)}
    assert ttls == {(here, there): _TTL - _routers_between(lab.spec, here, there) for here, there in ttls}
    assert (_TTL - 1 in ttls.values()) == (lab.spec.name == "routed")


def test_machine_has_the_links_and_routes_of_its_spec_and_no_others(lab: Lab) -> None:
    ours = {path.read_text().strip() for path in Path("/sys/class/net").glob("*/address")} - {"00:00:00:00:00:00", ""}
    ranges = [network for segment in lab.spec.segments for network in (segment.ipv4, segment.ipv6)]
    ranges += [ip_network("fe80::/10"), ip_network("ff00::/8")]

    for machine in lab.machines.values():
        found = [link for link in links(of_machine(machine)) if link.up]
        assert [link.name for link in found] == ["lo", *(f"eth{number}" for number in range(len(machine.spec.ports)))]
        assert not ours & {link.mac for link in found}
        ways = [*routes(of_machine(machine)), *routes(of_machine(machine), family=6)]
        gateways = [ip_address(way.gateway) for way in ways if way.destination == "default"]
        assert gateways == (list(_gateway(lab.spec, machine)) if machine.spec.gateway else [])
        beyond = [way for way in ways if way.destination != "default" and not _within(way.destination, ranges)]
        assert beyond == []


def test_address_outside_of_the_lab_is_unreachable_at_once() -> None:
    with _lab("one-host") as lab:
        host = of_machine(lab["host"])

        answers = ask(tcp(host, "203.0.113.1", 80), tcp(host, "2001:db8:2::1", 80))

        assert [answer.outcome for answer in answers] == [Outcome.UNREACHABLE] * 2


def test_far_client_is_cut_off_without_its_router() -> None:
    with _lab("routed") as lab:
        client = of_machine(lab["client"])
        listener = [listen(of_machine(lab["host"]), address=address).port for address in ("0.0.0.0", "::")]
        probes = [
            tcp(client, address, port, timeout_s=0.5)
            for address, port in zip(lab["host"].addresses, listener, strict=True)
        ]
        before = ask(*probes)
        lab["router"].sysctl(**{"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "0"})

        after = ask(*probes)

        assert [answer.peer for answer in before] == lab["client"].addresses
        assert [answer.outcome for answer in after] == [Outcome.TIMED_OUT] * 2


def test_only_routers_forward(lab: Lab) -> None:
    names = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")

    found = {name: [sysctl(of_machine(machine), key) for key in names] for name, machine in lab.machines.items()}

    assert found == {name: ["1" if machine.spec.router else "0"] * 2 for name, machine in lab.machines.items()}


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_resolver_knows_the_machines_and_says_nxdomain_to_all_else(lab: Lab, over: str) -> None:
    server = str(lab.spec.resolver)

    for machine in lab.machines.values():
        here = of_machine(machine)
        known = query(here, server, f"{machine.name}.lab", over=over)
        assert (known.rcode, known.records) == ("NOERROR", (machine.address,))
        assert query(here, server, "nowhere.lab", over=over).rcode == "NXDOMAIN"
        assert query(here, server, "example.com", over=over).rcode == "NXDOMAIN"


def test_programs_of_a_machine_ask_the_lab_s_resolver(lab: Lab) -> None:
    for machine in lab.machines.values():
        known, unknown = look_up(of_machine(machine), "resolver.lab", "nowhere.lab")

        assert known.addresses == (str(lab.spec.resolver),)
        assert unknown.outcome is Outcome.NAME_NOT_FOUND


# -- apart from the machine below


def test_machine_writes_nothing_to_the_disk_below() -> None:
    name = stamp("written")
    here = [f"{folder}/{name}" for folder in ("", "/usr", "/var/tmp", "/root", "/dev", str(_ROOT))]
    own = [f"{folder}/{name}" for folder in ("/etc", "/run", "/tmp", "/dev/shm")]
    with _lab("one-host") as lab:
        refused = {path: lab["host"].execute(["touch", path]) for path in here}
        taken = {path: lab["host"].execute(["touch", path]) for path in own}

        assert [path for path in here if "Read-only file system" not in refused[path].err] == []
        assert {path: done.exit_status for path, done in taken.items()} == dict.fromkeys(own, 0)
        assert [text for text in lab["host"].read(*own)] == [""] * len(own)
        assert [path for path in (*here, *own) if os.path.lexists(path)] == []


def test_engine_writes_nothing_to_its_cached_root(installation: Installation) -> None:
    if installation.root is None:
        pytest.skip("the engine is this machine's own: it has no root file system in the cache")
    name = stamp("written")
    paths = [f"{folder}/{name}" for folder in ("", "/etc", "/usr/bin", "/var/lib")]
    cgroup = stamp("selftest-root")
    try:
        with _lab("one-host") as lab:
            engine = Engine(lab["host"], installation, cgroup=cgroup)
            for path in paths:
                # The engine's root may hold no program for it.
                lab["host"].agent.call("write", path=f"/proc/{engine.pid}/root{path}", text="x")

            assert lab["host"].read(*paths, root=f"/proc/{engine.pid}/root") == ["x"] * len(paths)
            assert [path for path in paths if os.path.lexists(path) or (installation.root / path[1:]).exists()] == []
    finally:
        remove_cgroups(cgroup)


# -- and gone with its end


def test_closed_lab_leaves_nothing() -> None:
    before = _Outside.now()
    with _lab("routed") as lab:
        left = _Belongings.of(lab)
        for machine in lab.machines.values():
            _sleep_in(machine)
        left.add_processes()
        assert left.alive()
        assert left.namespaces_in_use()

    assert left.alive() == {}
    assert left.namespaces_in_use() == {}
    assert _Outside.now() == before


def test_lab_that_can_t_be_built_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _Outside.now()
    built: list[_Belongings] = []

    def fail(lab: Lab) -> None:
        built.append(_Belongings.of(lab))
        raise LabError("it is to fail")

    monkeypatch.setattr(Lab, "_serve_names", fail)

    with pytest.raises(LabError, match="it is to fail"):
        Lab(SHAPES["two-hosts"])

    assert [(left.alive(), left.namespaces_in_use()) for left in built] == [({}, {})]
    assert _Outside.now() == before


@pytest.mark.parametrize("victim", ["init", "keeper"])
def test_killed_agent_takes_its_machine_along(victim: str) -> None:
    before = _Outside.now()
    with _lab("two-hosts") as lab:
        host = lab["host"]
        _sleep_in(host)
        left = _Belongings.of(host)
        other = _Belongings.of(lab["host2"])
        os.kill(host.agent.pid if victim == "init" else _parent(host.agent.pid), signal.SIGKILL)

        until(lambda: not left.alive() and not left.namespaces_in_use(), what="the machine to go", timeout_s=_GONE_S)
        until(lambda: not host.agent.alive, what="its loss to be noticed", timeout_s=_GONE_S)
        with pytest.raises(LabError, match="host"):
            lab.check_alive()
        with pytest.raises(LabError, match="lost"):
            host.execute(["true"])
        assert other.alive()
        assert lab["host2"].execute(["true"]).exit_status == 0

    assert other.alive() == {}
    assert _Outside.now() == before


_HARNESS = """
import json, sys
from pathlib import Path
from netfacts.engine import Engine, Installation
from netfacts.lab import Lab
from netfacts.lab.stamp import stamp
from netfacts.model.lab import SHAPES
from netfacts.topology import Host

cgroup = stamp("selftest")
lab = Lab(SHAPES["one-host"])
spec, root = sys.argv[1:]
host = Host(Engine(lab["host"], Installation(spec, Path(root) if root else None), cgroup=cgroup))
host.container("box", network=host.network("net"), publish={"8080/tcp": None})
print(json.dumps(cgroup), flush=True)
sys.stdin.read()
"""


def test_killed_harness_leaves_only_cgroups_and_sweep_removes_these(installation: Installation) -> None:
    before = _Outside.now()
    live, foreign = stamp("selftest-live"), f"foreign-{os.getpid()}"
    with _harness(installation) as (process, cgroup), _cgroups(live, foreign):
        left = _Belongings.below(process.pid)
        names = set(left.alive().values())
        assert {"dockerd", "containerd", "containerd-shim", "docker-proxy", "sleep"} <= names
        assert _cgroup_folders(cgroup)

        process.kill()
        process.wait()

        until(lambda: not left.alive(), what="its processes to go", timeout_s=_GONE_S)
        until(lambda: not left.namespaces_in_use(), what="its namespaces to go", timeout_s=_GONE_S)
        assert _Outside.now() == before
        sweep()
        assert _cgroup_folders(cgroup) == []
        assert _cgroup_folders(live)
        assert _cgroup_folders(foreign)


# -- what belongs to whom


@dataclass(frozen=True)
class _Outside:
    """What a lab could leave in the namespaces of whoever built it."""

    interfaces: frozenset[str]
    mounts: frozenset[str]
    named_namespaces: frozenset[str]
    descriptors: tuple[str, ...]

    @classmethod
    def now(cls) -> _Outside:
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        named = Path("/run/netns")
        return cls(
            interfaces=frozenset(os.listdir("/sys/class/net")),
            # Whatever a machine mounts has its state below this folder, or is that state.
            mounts=frozenset(line for line in mounts if "/run/netfacts" in line),
            named_namespaces=frozenset(os.listdir(named)) if named.is_dir() else frozenset(),
            descriptors=tuple(sorted(_descriptors())),
        )


@dataclass
class _Belongings:
    """Processes, by PID and start time, and namespaces, by link text such as `net:[4026532000]`."""

    roots: list[int]
    processes: dict[tuple[int, int], str] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, owner: Lab | Machine) -> _Belongings:
        machines = owner.machines.values() if isinstance(owner, Lab) else [owner]
        found = cls([_parent(machine.agent.pid) for machine in machines])
        found.add_processes()
        if isinstance(owner, Lab):
            found.namespaces |= {text for text in _descriptors() if text.startswith("net:")} - set(_spaces("self"))
        return found

    @classmethod
    def below(cls, pid: int) -> _Belongings:
        found = cls([pid])
        found.add_processes()
        return found

    def add_processes(self) -> None:
        """Note the processes that have these roots, with the roots, and all namespaces that are not this process's."""
        parents = {pid: parent for pid in _pids() if (parent := _parent(pid))}
        for pid in [pid for pid in parents if any(one in self.roots for one in _line(pid, parents))]:
            with contextlib.suppress(OSError):
                self.processes[pid, start_time(pid) or 0] = Path(f"/proc/{pid}/comm").read_text().strip()
                self.namespaces |= set(_spaces(str(pid))) - set(_spaces("self"))

    def alive(self) -> dict[int, str]:
        """Those of the processes that still run. One that has ended and waits for its parent does not."""
        return {
            pid: name for (pid, started), name in self.processes.items() if start_time(pid) == started and _runs(pid)
        }

    def namespaces_in_use(self) -> dict[str, str]:
        """Those of the namespaces that a process is in, that this process holds open, or that are mounted."""
        found = {}
        for pid in _pids():
            with contextlib.suppress(OSError):
                found |= {text: f"process {pid}" for text in _spaces(str(pid)) if text in self.namespaces}
        found |= {text: "a descriptor" for text in _descriptors() if text in self.namespaces}
        mounts = Path("/proc/self/mountinfo").read_text()
        return found | {text: "a mount" for text in self.namespaces if text in mounts}


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(_stat(pid)[1])
    return 0


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _stat(pid)[0] not in "ZX"
    return False


def _line(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid:
        yield pid
        pid = parents.get(pid, 0)


def _spaces(pid: str) -> list[str]:
    return [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in _NAMESPACES]


def _descriptors() -> list[str]:
    """What the descriptors of this process point to, where that says something."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.append(re.sub(r"^(socket|pipe):.*", r"\1", os.readlink(f"/proc/self/fd/{name}")))
    # The one of this very listing is gone by now, and pytest's own files come and go.
    return [text for text in found if text in ("socket", "pipe") or text.startswith(("net:", "mnt:", "anon_inode:"))]


def _routers_between(spec: LabSpec, here: str, there: str) -> int:
    segments = [{port.segment for port in spec.machine(name).ports} for name in (here, there)]
    return 0 if segments[0] & segments[1] else 1


def _gateway(spec: LabSpec, machine: Machine) -> tuple[object, ...]:
    return spec.addresses(machine.spec.gateway, segment=machine.spec.ports[0].segment)


def _within(destination: str, ranges: list[object]) -> bool:
    network = ip_network(destination)
    return any(network.version == known.version and network.subnet_of(known) for known in ranges)


# -- what a test builds


@contextlib.contextmanager
def _lab(shape: str) -> Iterator[Lab]:
    built = Lab(SHAPES[shape])
    try:
        yield built
    finally:
        built.close()


@pytest.fixture(scope="module")
def installation() -> Installation:
    try:
        return resolve("auto")
    except NetfactsError as error:
        pytest.skip(f"no engine: {error}")


def _sleep_in(machine: Machine) -> None:
    argv = ["sleep", "1000"]
    machine.agent.call("spawn", argv=argv, env={"PATH": "/usr/bin:/bin"}, log="/run/sleep.log", root="", name="sleep")


@contextlib.contextmanager
def _harness(installation: Installation) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that owns a lab with a running engine and container; the name of the cgroup of these."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HARNESS, installation.spec, str(installation.root or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 60)[0], "the harness did not get its lab up within 60 s"
        said = process.stdout.readline()
        assert said, f"the harness ended with status {process.wait()}"
        yield process, json.loads(said)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def _tops() -> list[Path]:
    return [path.parent for path in (*_CGROUPS.glob("cgroup.procs"), *_CGROUPS.glob("*/cgroup.procs"))]


def _cgroup_folders(name: str) -> list[Path]:
    return [top / name for top in _tops() if (top / name).is_dir()]


@contextlib.contextmanager
def _cgroups(*names: str) -> Iterator[None]:
    folders = [_tops()[0] / name for name in names]
    try:
        for folder in folders:
            folder.mkdir()
        yield
    finally:
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()
