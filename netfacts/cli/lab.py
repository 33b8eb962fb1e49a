"""`netfacts lab`: labs to look into, those that runs with --keep-lab keep and those that are built for that."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Mapping

import typer
from rich.console import Console
from rich.table import Table

from netfacts.cli.own_lab import ended_by_signals, installed, lab_of, wait_for_the_end
from netfacts.engine import KINDS
from netfacts.engine.image import IMAGE
from netfacts.engine.source import PATH
from netfacts.lab.kept import KeptLab, KeptMachine, announced, end, kept
from netfacts.model.errors import UsageError
from netfacts.model.record import now
from netfacts.observe.process import memory
from netfacts.run import become
from netfacts.topology import LiveLab
from reports.wording import count, visible

app = typer.Typer(help="Labs that are kept to be looked into.", no_args_is_help=True)

_HOW_TO_GET_ONE = (
    "`netfacts lab up` builds one, and `netfacts run --keep-lab -k FACT` keeps one where a check deviates,"
    " as long as that run goes on"
)
# One that hangs is what somebody may want to look into.
_ASKED_S = 5
_INHERITED = ("TERM", "LANG", "LC_ALL", "COLORTERM")

_Machine = typer.Argument("", metavar="[MACHINE]", help="A machine of the lab.", show_default="the first, a host")
_Command = typer.Argument(None, metavar="[-- COMMAND...]", help="What to run there.", show_default="a shell")
_Container = typer.Option("", "--container", metavar="NAME", help="In the network namespace of this container.")
_Engine = typer.Option(False, "--engine", help="Among the engine's own files: its docker, its iptables.")
_Run = typer.Option(
    "", "--run", metavar="DIR|PID", help="The run that keeps it, or the process.", show_default="the newest"
)
_Hosts = typer.Option(2, "--hosts", metavar="N", help="How many machines with an engine, 1 to 16.")
_Routed = typer.Option(False, "--routed", help="Half of the hosts, and the client, behind a router.")
_Spec = typer.Option("auto", "--engine", "-e", metavar="SPEC", help=f"{KINDS}.")
_Swarm = typer.Option(False, "--swarm", help="Make the engines one swarm.")
_Which = typer.Argument(0, metavar="[PID]", help="The process that keeps it.", show_default="the newest")
_All = typer.Option(False, "--all", help="All of them.")


@app.command("up")
def up(hosts: int = _Hosts, routed: bool = _Routed, engine: str = _Spec, swarm: bool = _Swarm) -> None:
    """Build a lab with engines, and keep it until Ctrl-C or `netfacts lab down`."""
    spec = lab_of(hosts, routed=routed)
    console = Console()
    with ended_by_signals():
        installation, _ = installed(engine, console=console)
        began = time.perf_counter()
        with contextlib.closing(LiveLab(spec, installation)) as live:
            if swarm:
                live.swarm()
            took_s = time.perf_counter() - began
            version = next(iter(live.engines.values())).info.version
            lab = KeptLab(pid=os.getpid(), shape=spec.name, engine=version, since=now(), machines=live.entrances())
            # Once others can find it, its end is what is waited for.
            with contextlib.suppress(KeyboardInterrupt), announced(lab):
                _say(f"{spec.name}, {count(len(live.engines), 'engine')} {version}: up in {took_s:.1f} s")
                console.print(_machines(live))
                _say(_ways_in(next(iter(live.engines))))
                _say("Ctrl-C ends it, and so does `netfacts lab down`")
                sys.stdout.flush()
                wait_for_the_end()


def _ways_in(host: str) -> str:
    """Say how to look at a host. An engine's files may hold no `ip`, the machine's no iptables."""
    return f"""from another terminal:
  netfacts lab shell --engine {host} -- iptables-save
  netfacts lab shell {host} -- ip addr
  netfacts lab shell --engine {host} -- docker run -d --name web {IMAGE} sleep 1000"""


def _machines(live: LiveLab) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("machine", "is", "addresses"):
        table.add_column(title, overflow="fold")
    table.add_column("memory", justify="right", no_wrap=True)
    total = 0.0
    for machine in live.lab.machines.values():
        used = memory(machine)
        total += used
        role = "host" if machine.spec.engine else machine.spec.role
        table.add_row(machine.name, role, ", ".join(machine.addresses), f"{used:.0f} MiB")
    table.add_row("all", "", "", f"{total:.0f} MiB")
    return table


@app.command("down")
def down(pid: int = _Which, every: bool = _All) -> None:
    """End a lab that `netfacts lab up` keeps."""
    _require_root()
    ups = [lab for lab in kept() if not lab.run and pid in (0, lab.pid)]
    if not ups:
        raise UsageError(
            f"process {pid} keeps no lab that is up" if pid else "no lab is up",
            remedy="`netfacts lab list` names those that are kept; a run's ends with the run",
        )
    for lab in ups if every else ups[:1]:
        end(lab)
        _say(f"{lab.shape} of process {lab.pid} has ended")


@app.command("list")
def list_labs() -> None:
    """List the labs that are kept now, the newest first, with their machines and containers."""
    _require_root()
    labs = kept()
    for lab in labs:
        _say(_title(lab))
        for machine in lab.machines:
            containers = ", ".join(name for name, pid in machine.containers.items() if pid)
            _say(f"  {machine.name}" + (f": {containers}" if containers else ""))
    if not labs:
        _say(f"no lab is kept; {_HOW_TO_GET_ONE}")


def _title(lab: KeptLab) -> str:
    if not lab.run:
        return f"{lab.shape}, engine {lab.engine}, up since {lab.since} by process {lab.pid}"
    case = f"[{lab.case}]" if lab.case else ""
    return f"{lab.verdict}  {lab.fact}{case}  kept since {lab.since} by the run in {lab.run}"


@app.command("shell")
def shell(
    machine: str = _Machine,
    command: list[str] | None = _Command,
    container: str = _Container,
    engine: bool = _Engine,
    run: str = _Run,
) -> None:
    """Enter a machine of a kept lab, with a shell or one command: `netfacts lab shell host -- ip addr`."""
    _require_root()
    if not shutil.which("nsenter"):
        raise UsageError("entering a machine needs nsenter", remedy="apt-get install util-linux")
    lab = _lab(run)
    entered = lab.machine(machine)
    if entered is None:
        raise UsageError(
            f"the kept lab has no machine {machine!r}",
            where=_keeper(lab),
            returned="\n".join(one.name for one in lab.machines),
            remedy="one of these, and `--` before the command",
        )
    # Among an engine's own files there may be no other.
    ordinary = "/bin/sh" if engine else os.environ.get("SHELL", "/bin/sh")
    become([*_enter(entered, container, engine=engine), *(command or [ordinary])], env=_environment(entered))


def _lab(run: str) -> KeptLab:
    labs = kept()
    if not labs:
        raise UsageError("no lab is kept", remedy=_HOW_TO_GET_ONE)
    if not run:
        return labs[0]
    for lab in labs:
        if run == str(lab.pid) or (lab.run and lab.run == os.path.realpath(run)):
            return lab
    raise UsageError("this run keeps no lab", where=run, returned="\n".join(map(_keeper, labs)), remedy="one of these")


def _keeper(lab: KeptLab) -> str:
    """Name what keeps a lab, as --run takes it."""
    return lab.run or str(lab.pid)


def _enter(machine: KeptMachine, container: str, *, engine: bool) -> list[str]:
    """Give the beginning of a command that runs the rest in a machine.

    Raises: UsageError where it has no such container, or no engine that runs.
    """
    argv = ["nsenter", f"--target={machine.pid}", "--pid", "--uts", "--ipc"]
    mount, net = "--mount", "--net"
    if engine:
        if not machine.engine:
            raise UsageError("no engine runs there", where=machine.name, remedy="leave --engine out")
        mount = f"--mount={machine.namespace('mnt', machine.engine)}"
    if container:
        net = f"--net={machine.namespace('net', _container(machine, container))}"
    return [*argv, mount, net, "--"]


def _container(machine: KeptMachine, name: str) -> int:
    """Give the first process of a container by its name, or by the role that a check gave it.

    Raises: UsageError where none of that name runs.
    """
    for known, pid in machine.containers.items():
        if pid and name in (known, known.rpartition("-")[0]):
            return pid
    if pid := _started_since(machine, name):
        return pid
    running = "\n".join(known for known, pid in machine.containers.items() if pid)
    raise UsageError(f"no container {name!r} runs there", where=machine.name, returned=running, remedy="one of these")


def _started_since(machine: KeptMachine, name: str) -> int:
    """Ask the engine for the first process of a container; 0 where it runs none of that name."""
    import docker
    import docker.errors
    import requests.exceptions

    if not machine.socket:
        return 0
    try:
        api = docker.APIClient(
            base_url=f"unix:///proc/{machine.pid}/root{machine.socket}", version="auto", timeout=_ASKED_S
        )
        return int(api.inspect_container(name)["State"]["Pid"])
    except (docker.errors.DockerException, requests.exceptions.RequestException, LookupError, ValueError):
        return 0


def _environment(machine: KeptMachine) -> Mapping[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    docker = {"DOCKER_HOST": f"unix://{machine.socket}"} if machine.socket else {}
    return {"PATH": machine.path or PATH, "HOME": "/root", **docker, **inherited}


def _require_root() -> None:
    if os.geteuid() != 0:
        raise UsageError(
            "a kept lab can be found and entered by root alone",
            returned=f"this is user {os.geteuid()}",
            remedy="sudo netfacts lab …",
        )


def _say(text: str) -> None:
    Console().print(visible(text), markup=False, highlight=False, soft_wrap=True)
