"""Runs programs of a root file system that is unpacked on this machine, in a vantage: clients of applications."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netfacts.lab.vantage import Vantage
from netfacts.model.errors import ProbeError
from netfacts.run import Finished

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run_program(
    vantage: Vantage,
    root: Path,
    *argv: str,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 5.0,
) -> Finished:
    """Run a program of `root`, which is unpacked on this machine, with `text` as its input, and further variables.

    It has the vantage's network, and sees nothing but `root`: neither nameservers nor names of the vantage.

    Raises: ProbeError where it can't be started; LabError where the machine is lost.
    """
    vantage.machine.check_alive()
    if not vantage.machine.exists(str(root)):
        raise ProbeError("the programs can't be reached from the machine", where=str(vantage), returned=str(root))
    env = {"PATH": _PATH, "LC_ALL": "C", "HOME": "/root", **(environment or {})}
    return vantage.machine.execute(
        ["chroot", str(root), *argv], net=vantage.net, env=env, text=text, timeout_s=timeout_s
    )
