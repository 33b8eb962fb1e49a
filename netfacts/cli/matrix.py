"""`netfacts matrix`: who reaches whom in a lab, beside who is expected to."""

from __future__ import annotations

import contextlib
import platform
import shlex
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec
import typer
from rich.console import Console

from netfacts import __version__, catalogue
from netfacts.cli.own_lab import ended_by_signals, installed, lab_of
from netfacts.cli.session import new_folder
from netfacts.engine import KINDS
from netfacts.lab.kernel import neighbours, require_root
from netfacts.model.errors import ProbeError, UsageError
from netfacts.model.fact import engine_version
from netfacts.model.matrix import Cell, Kind, Matrix, Protocol, Rule
from netfacts.model.record import now
from netfacts.model.verdict import Expected
from netfacts.probe.reach import Explorer, Question
from netfacts.topology import LiveLab
from netfacts.topology.crowd import Member, apart, gather, require_subnets
from netfacts.verdict.reach import Holds, expected, questions
from reports.matrix import NAME, require_place, write
from reports.matrix_terminal import show

_MOST = 400
# What engines with a root file system of their own come with.
_FIREWALL = ("iptables", "ip6tables", "nft")
_NETWORKS = {
    "bridge": "the engine's default bridge",
    "user": "a bridge network of each host's own",
    "internal": "the same with --internal",
    "overlay": "an attachable overlay of all hosts",
    "host": "the host's own",
}
_Engine = typer.Option("auto", "--engine", "-e", metavar="SPEC", help=f"{KINDS}.")
_Hosts = typer.Option(2, "--hosts", metavar="N", help="How many machines with an engine, 1 to 16.")
_Containers = typer.Option(4, "--containers", metavar="N", help="How many containers in all, spread over the hosts.")
_Network = typer.Option(
    ["bridge"],
    "--network",
    metavar="KIND",
    help="What the containers are on, in turns: "
    + "; ".join(f"`{name}`, {what}" for name, what in _NETWORKS.items())
    + ". Several times for several, the same kind twice for two networks of it.",
)
_Protocol = typer.Option(
    [protocol.value for protocol in Protocol],
    "--protocol",
    metavar="tcp|udp|icmp",
    help="What to ask by; several times for several.",
    show_default="all",
)
_Routed = typer.Option(False, "--routed", help="Half of the hosts, and the client, behind a router.")
_Publish = typer.Option(False, "--publish", help="Each container publishes a TCP and a UDP port, where it can.")
_Routes = typer.Option(False, "--routes", help="The machines have routes to the bridge networks of all hosts.")
_Change = typer.Option(
    [],
    "--change",
    metavar="'MACHINE COMMAND'",
    help="What to change before looking, such as 'host iptables -I DOCKER-USER -j DROP' or 'host docker network "
    "disconnect user box1': "
    "one command, without a shell. On a host docker, iptables and nft are its engine's. Several times for several.",
)
_Target = typer.Option("embedded", "--target", metavar="TARGET", help="Where the lab is: `embedded` alone.")
_Out = typer.Option(
    "", "--out", metavar="DIR", help="Folder for matrix.html and matrix.json.", show_default="reports/out/matrix-…"
)


def matrix(
    engine: str = _Engine,
    hosts: int = _Hosts,
    containers: int = _Containers,
    network: list[str] = _Network,
    protocol: list[str] = _Protocol,
    routed: bool = _Routed,
    publish: bool = _Publish,
    routes: bool = _Routes,
    change: list[str] = _Change,
    target: str = _Target,
    out: str = _Out,
) -> int:
    """Say who reaches whom, machines and containers, by address and by name, beside who is expected to."""
    if target != "embedded":
        raise UsageError(
            "a matrix is of a lab of netfacts' own", returned=f"the target is {target}", remedy="leave --target out"
        )
    if not 0 <= containers <= _MOST:
        raise UsageError(f"there are 0 to {_MOST} containers, and not {containers}")
    kinds, protocols = _kinds(network), _protocols(protocol)
    require_subnets(kinds)
    spec = apart(lab_of(hosts, routed=routed))
    orders = [_order(words, [machine.name for machine in spec.machines]) for words in change]
    console = Console()
    known = catalogue.load()
    require_root()
    folder = Path(out).resolve() if out else new_folder("matrix-")
    require_place(folder)
    with ended_by_signals():
        installation, missing = installed(engine, console=console)
        if Kind.OVERLAY in kinds and "vxlan" in missing:
            raise UsageError("an overlay needs VXLAN", remedy=missing["vxlan"])
        clock = Clock()
        with contextlib.ExitStack() as stack:
            stack.enter_context(neighbours((hosts + containers + 1) ** 2))
            live = stack.enter_context(contextlib.closing(LiveLab(spec, installation)))
            clock.lap("lab")
            members = gather(live, kinds, containers, publish=publish, routes=routes)
            clock.lap("containers")
            # Each engine has flags of its own, for its share of subnets.
            info = next(iter(live.engines.values())).info
            version = engine_version(info.version)
            for machine, argv in orders:
                _carry_out(live, machine, argv)
            if orders:
                _require_running(members)

            def holds(fact: str) -> bool:
                return known[fact].expectation(version).outcome is Expected.HOLDS

            rules, cells = look(members, protocols, holds, routes=routes, clock=clock)
    found = Matrix(
        netfacts=__version__,
        at=now(),
        kernel=platform.release(),
        lab=spec.name,
        engine=msgspec.structs.replace(info, flags=[]),
        networks=tuple(network),
        publish=publish,
        routes=routes,
        changes=tuple(change),
        took_s=clock.took_s,
        rules=tuple(rules),
        stations=tuple(member.station for member in members),
        cells=tuple(cells),
    )
    # Shown first: what was found out is not lost to a disk that is full.
    show(found, folder / NAME, console=console)
    write(found, folder)
    return 1 if found.wrong else 0


class Clock:
    """Says how long what was done took, step by step, in seconds."""

    def __init__(self) -> None:
        self.took_s: dict[str, float] = {}
        self._began = time.perf_counter()

    def lap(self, step: str) -> None:
        """A step has ended, and the next begins."""
        ended = time.perf_counter()
        self.took_s[step] = round(ended - self._began, 3)
        self._began = ended


def look(
    members: Sequence[Member], protocols: Collection[Protocol], holds: Holds, *, routes: bool, clock: Clock
) -> tuple[list[Rule], list[Cell]]:
    """Ask everybody for everybody. Gives the rules that were expected to decide, and what came of each question.

    Raises: ProbeError, LabError.
    """
    row = [member.station for member in members]
    asked = [
        (source, destination, protocol, way, expected(source, destination, protocol, way, holds=holds, routes=routes))
        for source in row
        for destination in row
        for protocol, way in questions(destination)
        if protocol in protocols
    ]
    explorer = Explorer(
        {member.station.name: member.vantage for member in members},
        listening={member.station.name: (member.listens, member.port) for member in members},
    )
    clock.lap("listeners")
    seen = explorer.explore([Question(*question[:4], question[4].outcome) for question in asked])
    clock.lap("probing")
    rules = list(dict.fromkeys(rule for *_, rule in asked))
    numbers = {rule: number for number, rule in enumerate(rules)}
    cells = [
        Cell(
            source=source.name,
            destination=destination.name,
            protocol=protocol,
            way=way,
            rule=numbers[rule],
            expected=rule.outcome,
            observed=one.outcome,
            by=one.by,
            detail=one.detail,
            tries=one.tries,
            agrees=rule.allows(one.outcome) and not one.by,
        )
        for (source, destination, protocol, way, rule), one in zip(asked, seen, strict=True)
    ]
    return rules, cells


def _kinds(names: Sequence[str]) -> list[Kind]:
    """Raises: UsageError for what containers can't be on, and for what there is but one of."""
    for name in names:
        if name not in _NETWORKS:
            raise UsageError(f"containers can't be on {name!r}", remedy=f"--network is one of {', '.join(_NETWORKS)}")
    for alone in ("bridge", "host"):
        if names.count(alone) > 1:
            raise UsageError(f"a host has one network {alone}", remedy="name it once, or `user` several times")
    return [Kind(name) for name in names]


def _protocols(names: Sequence[str]) -> list[Protocol]:
    """Raises: UsageError for what nobody can be asked by."""
    known = [protocol.value for protocol in Protocol]
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"nobody can be asked by {unknown[0]!r}", remedy=f"--protocol is one of {', '.join(known)}")
    return [Protocol(name) for name in names]


def _order(words: str, machines: Sequence[str]) -> tuple[str, list[str]]:
    """Read what is to be changed: the machine, and the command's words.

    Raises: UsageError.
    """
    remedy = f"'host iptables -I DOCKER-USER -j DROP'; the machines are {', '.join(machines)}"
    try:
        machine, *argv = shlex.split(words) or [""]
    except ValueError as error:
        raise UsageError(f"--change {words!r} can't be read", returned=str(error), remedy=remedy) from None
    if machine not in machines or not argv:
        raise UsageError(f"--change {words!r} names no machine and what to run there", remedy=remedy)
    return machine, argv


def _carry_out(live: LiveLab, machine: str, argv: Sequence[str]) -> None:
    """Change a lab: on a host the firewall by the programs that its engine comes with, and the engine by its client.

    Raises: UsageError where the command fails, or can't be started; LabError.
    """
    program, engine = Path(argv[0]).name, live.engines.get(machine)
    attempted, remedy = f"--change failed on {machine}", "it is to be one command; there is no shell"
    try:
        if engine and program == "docker":
            done = engine.docker(*argv[1:])
        else:
            done = (engine if engine and program.startswith(_FIREWALL) else live.lab[machine]).execute(argv)
    except ProbeError as error:
        raise UsageError(attempted, returned=error.returned, remedy=remedy) from None
    done.checked(attempted, UsageError, remedy=remedy)


def _require_running(members: Sequence[Member]) -> None:
    """Raises: UsageError where a container was stopped or started again: there is nobody to ask in its place."""
    if ended := [one.station.name for one in members if not one.vantage.machine.exists(one.vantage.net or "/proc")]:
        raise UsageError(
            f"--change has ended {', '.join(ended)}",
            remedy="containers are to keep running; `docker network disconnect NETWORK CONTAINER` takes one's network",
        )
