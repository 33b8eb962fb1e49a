"""Programs of an engine's: found where it finds them, in the network namespace of the machine or of a container."""

from __future__ import annotations

from typing import Any, cast

import pytest

from netfacts.engine.engine import Engine
from netfacts.engine.installed import INSTALLED, InstalledEngine
from netfacts.engine.source import PATH
from netfacts.lab import Machine
from netfacts.model.errors import LabError
from netfacts.run import Finished

_ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C"}


class Played:
    """A machine that notes what it is to run, and answers as it is told."""

    name = "host"

    def __init__(self, *, exit_status: int = 0, out: str = "", err: str = "") -> None:
        self.asked: list[dict[str, Any]] = []
        self._said = (exit_status, out, err)

    def execute(self, argv: list[str], *, timeout_s: float, **where: Any) -> Finished:
        self.asked.append({"argv": argv, **where})
        return Finished(tuple(argv), *self._said)


def _engine(played: Played, *, kind: type[Engine] = Engine, pid: int = 9) -> Engine:
    engine = kind.__new__(kind)
    engine.machine = cast("Machine", played)
    engine.installation = INSTALLED
    engine.pid = pid
    return engine


@pytest.mark.parametrize("kind", [Engine, InstalledEngine])
@pytest.mark.parametrize("net", ["", "/proc/7/ns/net"], ids=["net=machine", "net=container"])
def test_command_runs_where_the_engine_is(kind: type[Engine], net: str) -> None:
    played = Played(out="done\n")

    said = _engine(played, kind=kind).run("iptables -I INPUT -m comment --comment 'a b' -j DROP", net=net, text="input")

    assert said == "done\n"
    argv = ["iptables", "-I", "INPUT", "-m", "comment", "--comment", "a b", "-j", "DROP"]
    assert played.asked == [
        {"argv": argv, "net": net, "mnt": "/proc/9/ns/mnt", "env": _ENVIRONMENT, "text": "input"},
    ]


def test_command_runs_in_the_machines_own_mount_namespace_where_the_engine_does_not_show() -> None:
    played = Played()

    _engine(played, kind=InstalledEngine, pid=0).run("iptables --version", net="/proc/7/ns/net")

    assert played.asked == [
        {"argv": ["iptables", "--version"], "net": "/proc/7/ns/net", "env": _ENVIRONMENT, "text": ""}
    ]


def test_command_that_fails_is_named_with_what_it_said() -> None:
    with pytest.raises(LabError) as caught:
        _engine(Played(exit_status=1, err="No chain by that name.\n")).run("iptables -F NONE")

    assert str(caught.value).splitlines() == [
        "could not change host by the engine's programs",
        "  iptables -F NONE",
        "  exit status 1",
        "  No chain by that name.",
    ]
