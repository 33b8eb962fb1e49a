"""`netfacts lab`: the labs that runs with --keep-lab keep, to look into."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

import typer
from rich.console import Console

from netfacts.lab.kept import KeptLab, KeptMachine, kept
from netfacts.model.errors import UsageError
from netfacts.run import become
from reports.wording import visible

app = typer.Typer(help="Labs that are kept to be looked into.", no_args_is_help=True)

_HOW_TO_GET_ONE = "`netfacts run --keep-lab -k FACT` keeps one where a check deviates, as long as that run goes on"
# As a login would have them, whatever the caller's are.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INHERITED = ("TERM", "LANG", "LC_ALL", "COLORTERM")

_Machine = typer.Argument("", metavar="[MACHINE]", help="A machine of the lab.", show_default="the first, a host")
_Command = typer.Argument(None, metavar="[-- COMMAND...]", help="What to run there.", show_default="a shell")
_Container = typer.Option("", "--container", metavar="NAME", help="In the network namespace of this container.")
_Engine = typer.Option(False, "--engine", help="Among the engine's own files: its docker, its iptables.")
_Run = typer.Option("", "--run", metavar="DIR", help="The run that keeps it.", show_default="the newest")


@app.command("list")
def list_labs() -> None:
    """List the labs that are kept now, the newest first, with their machines and containers."""
    _require_root()
    labs = kept()
    for lab in labs:
        case = f"[{lab.case}]" if lab.case else ""
        _say(f"{lab.verdict}  {lab.fact}{case}  kept since {lab.since} by the run in {lab.run}")
        for machine in lab.machines:
            containers = ", ".join(name for name, pid in machine.containers.items() if pid)
            _say(f"  {machine.name}" + (f": {containers}" if containers else ""))
    if not labs:
        _say(f"no lab is kept; {_HOW_TO_GET_ONE}")


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
            where=lab.run,
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
    wanted = os.path.realpath(run) if run else labs[0].run
    for lab in labs:
        if lab.run == wanted:
            return lab
    raise UsageError(
        "this run keeps no lab", where=run, returned="\n".join(lab.run for lab in labs), remedy="one of these"
    )


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
    running = "\n".join(known for known, pid in machine.containers.items() if pid)
    raise UsageError(f"no container {name!r} runs there", where=machine.name, returned=running, remedy="one of these")


def _environment(machine: KeptMachine) -> Mapping[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    docker = {"DOCKER_HOST": f"unix://{machine.socket}"} if machine.socket else {}
    return {"PATH": machine.path or _PATH, "HOME": "/root", **docker, **inherited}


def _require_root() -> None:
    if os.geteuid() != 0:
        raise UsageError(
            "a kept lab can be found and entered by root alone",
            returned=f"this is user {os.geteuid()}",
            remedy="sudo netfacts lab …",
        )


def _say(text: str) -> None:
    Console().print(visible(text), markup=False, highlight=False, soft_wrap=True)
