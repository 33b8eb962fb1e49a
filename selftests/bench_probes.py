"""Measures what probes and labs cost: `python selftests/bench_probes.py [--engine SPEC]`, as root.

    9 containers on one network, 6 TCP listeners in each: 9 × 9 × 6 = 486 cells, each with its nonce, in one `ask`.
    --matrix: 100 containers on 4 hosts, each asks each, and the machines, by TCP at the address: 11,025 cells.

No test: how long it takes depends on what else the machine does. Wanted on two cores: 486 cells in less than 0.5 s, and
11,025 in less than 5 s, with one time-out more for those that are dropped.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from netfacts.engine import Engine, Installation, resolve  # noqa: E402
from netfacts.lab import Lab  # noqa: E402
from netfacts.lab.kernel import neighbours, require_root  # noqa: E402
from netfacts.lab.machine import Machine  # noqa: E402
from netfacts.lab.stamp import remove_cgroups, stamp  # noqa: E402
from netfacts.model.errors import NetfactsError  # noqa: E402
from netfacts.model.lab import SHAPES, hosts  # noqa: E402
from netfacts.model.matrix import Kind, Protocol, Way  # noqa: E402
from netfacts.model.verdict import Outcome  # noqa: E402
from netfacts.probe import ask, listen, tcp  # noqa: E402
from netfacts.probe.ask import TIMEOUT_S  # noqa: E402
from netfacts.probe.reach import Explorer, Question  # noqa: E402
from netfacts.topology import Host, LiveLab  # noqa: E402
from netfacts.topology.crowd import apart, gather  # noqa: E402
from netfacts.verdict.reach import expected  # noqa: E402

CONTAINERS, LISTENERS = 9, 6
WANTED_S = 0.5
CROWD, HOSTS = 100, 4
CROWD_WANTED_S = 5.0


@contextmanager
def running(shape: str, installation: Installation) -> Iterator[tuple[dict[str, Engine], float]]:
    """Yields the engines of a lab by machine, and how long it took until all of them answered."""
    engines: dict[str, Engine] = {}
    with ExitStack() as stack:
        started = time.perf_counter()
        lab = Lab(SHAPES[shape])

        def start(machine: Machine) -> None:
            cgroup = stamp(f"bench-{machine.name}")
            # Cgroup folders can go only when the lab's processes have gone: the lab's own undo comes after these.
            stack.callback(remove_cgroups, cgroup)
            engines[machine.name] = Engine(machine, installation, cgroup=cgroup)

        try:
            lab.each(start, engines_only=True)
            yield engines, time.perf_counter() - started
        finally:
            lab.close()


def bench_labs(installation: Installation, rounds: int) -> None:
    """Print how long a lab with its engines takes until it is ready."""
    for shape in ("one-host", "two-hosts"):
        took: list[float] = []
        for _ in range(rounds):
            with running(shape, installation) as (_, ready_s):
                took.append(ready_s)
        print(f"{shape:10} ready       median {statistics.median(took):6.3f} s   best {min(took):6.3f} s   of {rounds}")


def bench_probes(installation: Installation, rounds: int, execs: int) -> bool:
    """Print what a cell costs by the agent, and by `docker exec`; say whether the agent is as fast as wanted."""
    with running("one-host", installation) as (engines, _):
        host = Host(engines["host"], check="bench")
        network = host.network("bench")
        boxes = [host.container(f"box{number}", network=network) for number in range(CONTAINERS)]
        ports = [[listen(box.vantage).port for _ in range(LISTENERS)] for box in boxes]
        cells = [(a, b, port) for a in boxes for b, open_ports in zip(boxes, ports, strict=True) for port in open_ports]

        took: list[float] = []
        for _ in range(rounds):
            # Nonces are of each round: nothing of an earlier one can answer.
            probes = [tcp(a.vantage, b.address, port, timeout_s=10.0) for a, b, port in cells]
            started = time.perf_counter()
            answers = ask(*probes)
            took.append(time.perf_counter() - started)
            wrong = [answer for answer in answers if answer.outcome is not Outcome.CONNECTED]
            misled = [
                one
                for one, (a, b, _) in zip(answers, cells, strict=True)
                if (one.peer, one.name) != (a.address, b.name)
            ]
            if wrong or misled:
                sys.exit(f"{len(wrong)} cells not connected, {len(misled)} answered by another: {(wrong + misled)[0]}")
        median, best = statistics.median(took), min(took)
        print(
            f"{len(cells)} cells     ask         median {median:6.3f} s   best {best:6.3f} s   of {rounds}"
            f"   {len(cells) / median:6.0f} cells/s"
        )

        box, other = boxes[0], boxes[1]
        by_exec: list[float] = []
        for number in range(execs):
            started = time.perf_counter()
            done = box.run("nc", "-w", "2", other.address, str(ports[1][number % LISTENERS]), "-e", "true")
            by_exec.append(time.perf_counter() - started)
            if done.exit_status != 0:
                sys.exit(f"docker exec: {done.out}")
        per_exec = statistics.median(by_exec)
        ratio = per_exec / (median / len(cells))
        print(
            f"{execs} cells      docker exec median {per_exec:6.3f} s each, {1 / per_exec:.0f} cells/s:"
            f" {len(cells)} would take {per_exec * len(cells):.0f} s; the agent is {ratio:.0f} × as fast"
        )
        host.close()
    return median < WANTED_S


def bench_matrix(installation: Installation) -> bool:
    """Print what the cells of a large matrix cost, on one network and on two; say whether that is as fast as wanted."""
    fast = True
    for kinds in ((Kind.OVERLAY,), (Kind.USER,), (Kind.BRIDGE, Kind.USER)):
        with ExitStack() as stack:
            stack.enter_context(neighbours((CROWD + HOSTS + 1) ** 2))
            live = stack.enter_context(closing(LiveLab(apart(hosts(HOSTS)), installation)))
            members = gather(live, kinds, CROWD)
            stations = [member.station for member in members]
            asked = [
                Question(
                    a, b, Protocol.TCP, Way.ADDRESS, expected(a, b, Protocol.TCP, Way.ADDRESS, holds=_holds).outcome
                )
                for a in stations
                for b in stations
            ]
            explorer = Explorer(
                {member.station.name: member.vantage for member in members},
                listening={member.station.name: (member.listens, member.port) for member in members},
            )
            started = time.perf_counter()
            seen = explorer.explore(asked)
            took_s = time.perf_counter() - started
        dropped = Outcome.TIMED_OUT in {one.outcome for one in seen}
        probing_s = took_s - (TIMEOUT_S if dropped else 0.0)
        fast = fast and probing_s < CROWD_WANTED_S
        rate = f"{len(asked) / probing_s:6.0f} cells/s"
        waited = f", and {TIMEOUT_S:.0f} s for what is dropped" if dropped else ""
        print(f"{len(asked)} cells   matrix on {', '.join(kinds):12} {probing_s:6.3f} s   {rate}{waited}")
    return fast


def _holds(_: str) -> bool:
    return True


def main() -> int:
    """Measure; 0 where the agent is as fast as wanted."""
    parser = argparse.ArgumentParser(description="Measures what probes and labs cost.")
    parser.add_argument("--engine", default="debian:bookworm", help="as for `netfacts run`")
    parser.add_argument("--rounds", type=int, default=10, help="of the 486 cells")
    parser.add_argument("--matrix", action="store_true", help="the large matrix, and nothing else")
    parser.add_argument("--execs", type=int, default=10, help="cells by docker exec")
    options = parser.parse_args()
    try:
        require_root()
        installation = resolve(options.engine, progress=print)
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load {load:.1f}, {options.engine}")
        if options.matrix:
            fast = bench_matrix(installation)
            print(f"wanted: in {CROWD_WANTED_S:.0f} s: {'yes' if fast else 'no'}")
            return 0 if fast else 1
        bench_labs(installation, rounds=3)
        fast = bench_probes(installation, options.rounds, options.execs)
    except NetfactsError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"wanted: {CONTAINERS * CONTAINERS * LISTENERS} cells in {WANTED_S} s: {'yes' if fast else 'no'}")
    return 0 if fast else 1


if __name__ == "__main__":
    sys.exit(main())
