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
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest

from netfacts.engine import Engine, Installation, resolve
from netfacts.lab import Lab, Machine, of_machine
from netfacts.lab.remote import RemoteLinks
from netfacts.lab.site import Links
from netfacts.lab.stamp import remove_cgroups, stamp, start_time, sweep
from netfacts.lab.wait import until
from netfacts.model.errors import LabError, NetfactsError
from netfacts.model.lab import SHAPES, LabSpec, shape
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


@pytest.fixture(scope="module", params=[*SHAPES, "hosts-16", "routed-hosts-5"])
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    built = Lab(shape(request.param))
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
    assert (_TTL - 1 in ttls.values()) == (lab.spec.name in ("routed", "fabric", "routed-hosts-5"))


def test_machine_has_the_links_and_routes_of_its_spec_and_no_others(lab: Lab) -> None:
    ours = {path.read_text().strip() for path in Path("/sys/class/net").glob("*/address")} - {"00:00:00:00:00:00", ""}
    declared = [network for segment in lab.spec.segments for network in (segment.ipv4, segment.ipv6)]
    ranges = [*declared, ip_network("fe80::/10"), ip_network("ff00::/8")]

    for machine in lab.machines.values():
        found = [link for link in links(of_machine(machine)) if link.up]
        assert {link.name: link.master for link in found} == {"lo": ""} | _links(machine)
        bearers = {machine.bearer(number) for number in range(len(machine.spec.ports))}
        assert {link.name for link in found if any(not end.is_link_local for end in link.addresses)} == {"lo", *bearers}
        assert not ours & {link.mac for link in found}
        ways = [*routes(of_machine(machine)), *routes(of_machine(machine), family=6)]
        gateways = [ip_address(way.gateway) for way in ways if way.destination == "default"]
        assert gateways == (list(_gateway(lab.spec, machine)) if machine.spec.gateway else [])
        beyond = [way for way in ways if way.destination != "default" and not _within(way.destination, ranges)]
        assert beyond == []


def test_bridge_of_a_host_keeps_the_mac_of_its_interface() -> None:
    """By itself a bridge takes the lowest MAC of its ports, and neighbours would go on sending to the one before."""
    with _lab("underlay") as lab:
        host = lab["host"]
        own, bridge = host.interface(), host.bearer()
        commands = [
            "link add low address 02:00:00:00:00:01 type veth peer name high",
            f"link set low master {bridge} up",
        ]
        done = [host.execute(["ip", *command.split()]).exit_status for command in commands]

        macs = {link.name: link.mac for link in links(of_machine(host))}

        assert done == [0, 0]
        assert macs[bridge] == macs[own]


def test_address_outside_of_the_lab_is_unreachable_at_once() -> None:
    with _lab("one-host") as lab:
        host = of_machine(lab["host"])

        answers = ask(tcp(host, "203.0.113.1", 80), tcp(host, "2001:db8:2::1", 80))

        assert [answer.outcome for answer in answers] == [Outcome.UNREACHABLE] * 2


@pytest.mark.parametrize(
    "by", [lambda machine: machine.netlink, lambda machine: RemoteLinks(machine.agent)], ids=["netlink", "ip"]
)
def test_route_without_a_gateway_leads_to_the_wire(by: Callable[[Machine], Links]) -> None:
    with _lab("one-host") as lab:
        here, ways = of_machine(lab["resolver"]), by(lab["resolver"])
        before = routes(here)

        ways.route("replace", "192.0.2.7/32", "", "eth0")
        added = [way for way in routes(here) if way not in before]
        (answer,) = ask(icmp(here, "192.0.2.7"))
        ways.route("del", "192.0.2.7/32", "", "eth0")

        assert [(way.destination, way.gateway, way.device) for way in added] == [("192.0.2.7", "", "eth0")]
        assert (answer.outcome, answer.detail) == (Outcome.UNREACHABLE, "No route to host")
        assert routes(here) == before


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


def test_main_thread_does_not_fork_while_a_lab_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is raised there, and amid a fork it would leave locks of Python's taken."""
    forking, fork = [], os.fork

    def noted() -> int:
        forking.append(threading.current_thread())
        return fork()

    monkeypatch.setattr(os, "fork", noted)
    with _lab("one-host"):
        pass

    assert forking
    assert threading.main_thread() not in forking


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
        assert lab["host"].read(*own) == [""] * len(own)
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
        for machine in lab.machines.values():
            _sleep_in(machine)
        left = _Belongings.of(*lab.machines.values())
        assert list(left.alive().values()).count("sleep") == len(lab.machines)

    assert left.alive() == {}
    left.release()
    assert _Outside.now() == before


def test_lab_that_can_t_be_built_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = _Outside.now()
    built: list[_Belongings] = []

    def fail(lab: Lab) -> None:
        built.append(_Belongings.of(*lab.machines.values()))
        raise LabError("it is to fail")

    monkeypatch.setattr(Lab, "_serve_names", fail)

    with pytest.raises(LabError, match="it is to fail"):
        Lab(SHAPES["two-hosts"])

    assert [left.alive() for left in built] == [{}]
    built[0].release()
    assert _Outside.now() == before


@pytest.mark.parametrize("victim", ["init", "keeper"])
def test_killed_agent_takes_its_machine_along(victim: str) -> None:
    before = _Outside.now()
    with _lab("two-hosts") as lab:
        host, other = lab["host"], lab["host2"]
        _sleep_in(host)
        left = _Belongings.of(host)
        assert "sleep" in left.alive().values()

        os.kill(host.agent.pid if victim == "init" else _parent(host.agent.pid), signal.SIGKILL)

        until(lambda: not left.alive(), what="the machine's processes to go", timeout_s=_GONE_S)
        until(lambda: not host.agent.alive, what="its loss to be noticed", timeout_s=_GONE_S)
        with pytest.raises(LabError, match="the machine is lost"):
            lab.check_alive()
        with pytest.raises(LabError, match="the agent of a machine is lost"):
            host.execute(["true"])
        assert other.execute(["true"]).exit_status == 0

    left.release()
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


_RUNNING = {"dockerd", "containerd", "containerd-shim", "docker-proxy", "sleep"}


def test_killed_harness_leaves_only_cgroups_and_sweep_removes_these(installation: Installation) -> None:
    before = _Outside.now()
    live, foreign = stamp("selftest-live"), f"foreign-{os.getpid()}"
    with _harness(installation) as (process, cgroup), _cgroups(live, foreign):
        left = _Belongings(process.pid)
        # A container counts as started shortly before its program is.
        until(lambda: left.note() >= _RUNNING, what="the container's program to run", timeout_s=_GONE_S)
        assert _cgroup_folders(cgroup)

        process.kill()
        process.wait()

        until(lambda: not left.alive(), what="its processes to go", timeout_s=_GONE_S)
        sweep()
        assert _cgroup_folders(cgroup) == []
        assert _cgroup_folders(live)
        assert _cgroup_folders(foreign)

    left.release()
    assert _Outside.now() == before


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
            interfaces=frozenset(path.name for path in Path("/sys/class/net").iterdir()),
            # Whatever a machine mounts has its state below this folder, or is that state.
            mounts=frozenset(line for line in mounts if "/run/netfacts" in line or " nsfs " in line),
            named_namespaces=frozenset(path.name for path in named.iterdir()) if named.is_dir() else frozenset(),
            descriptors=tuple(sorted(_descriptors())),
        )


class _Belongings:
    """Processes, and the namespaces that they are in.

    The namespaces are held open, so that the kernel gives their numbers to nobody else meanwhile. Undo: `release`.
    """

    def __init__(self, *roots: int) -> None:
        """Note these processes and all that descend from them."""
        self.processes: dict[tuple[int, int], str] = {}
        self._roots = roots
        self._held: dict[str, int] = {}
        self.note()

    @classmethod
    def of(cls, *machines: Machine) -> _Belongings:
        return cls(*(_parent(machine.agent.pid) for machine in machines))

    def note(self) -> set[str]:
        """Note what has come since; gives the names of all."""
        parents = {pid: _parent(pid) for pid in _pids()}
        ours = set(_spaces("self"))
        for pid in parents:
            if any(ancestor in self._roots for ancestor in _line(pid, parents)):
                with contextlib.suppress(OSError):
                    self.processes[pid, start_time(pid) or 0] = Path(f"/proc/{pid}/comm").read_text().strip()
                    for text, path in zip(_spaces(str(pid)), _paths(str(pid)), strict=True):
                        if text not in ours and text not in self._held:
                            self._held[text] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return set(self.processes.values())

    def alive(self) -> dict[int, str]:
        """Those of the processes that still run, and all others in their namespaces. Zombies do not run."""
        found = {pid: name for (pid, start), name in self.processes.items() if start_time(pid) == start and _runs(pid)}
        for pid in _pids():
            with contextlib.suppress(OSError):
                if not self._held.keys().isdisjoint(_spaces(str(pid))):
                    found.setdefault(pid, "in one of its namespaces")
        return found

    def release(self) -> None:
        for fd in self._held.values():
            os.close(fd)
        self._held.clear()


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


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


def _paths(pid: str) -> list[Path]:
    return [Path(f"/proc/{pid}/ns/{kind}") for kind in _NAMESPACES]


def _spaces(pid: str) -> list[str]:
    """Its namespaces, such as `net:[4026532000]`."""
    return [str(path.readlink()) for path in _paths(pid)]


def _descriptors() -> list[str]:
    """What the descriptors of this process point to, where that says something."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(re.sub(r"^(socket|pipe):.*", r"\1", str(path.readlink())))
    # The one of this very listing is gone by now, and pytest's own files come and go.
    return [text for text in found if text in ("socket", "pipe") or text.startswith(("net:", "mnt:", "anon_inode:"))]


def _links(machine: Machine) -> dict[str, str]:
    """The links that the machine has by its spec, each with the bridge that it is a port of."""
    ports = {f"eth{number}": port.bridge for number, port in enumerate(machine.spec.ports)}
    return ports | {bridge: "" for bridge in ports.values() if bridge}


def _routers_between(spec: LabSpec, here: str, there: str) -> int:
    segments = [{port.segment for port in spec.machine(name).ports} for name in (here, there)]
    return 0 if segments[0] & segments[1] else 1


def _gateway(spec: LabSpec, machine: Machine) -> tuple[object, ...]:
    return spec.addresses(machine.spec.gateway, segment=machine.spec.ports[0].segment)


def _within(destination: str, ranges: Sequence[IPv4Network | IPv6Network]) -> bool:
    address = ip_network(destination).network_address
    return any(address in known for known in ranges)


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
        process.communicate()


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
