"""Commands in a vantage: spelled as one types them, run in its network namespace, and never failing in silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from netfacts.lab import Machine, Vantage, of_process
from netfacts.model.errors import LabError, OffLimits
from netfacts.run import Finished


class Played:
    """A machine that notes what it is to run, and answers as it is told."""

    name = "host"

    def __init__(self, *, exit_status: int = 0, out: str = "", err: str = "") -> None:
        self.asked: list[tuple[list[str], str, str]] = []
        self._said = (exit_status, out, err)

    def execute(self, argv: Sequence[str], *, net: str = "", text: str = "") -> Finished:
        self.asked.append((list(argv), net, text))
        return Finished(tuple(argv), *self._said)


def _box(played: Played) -> Vantage:
    return of_process(cast("Machine", played), 7, "box")


def test_command_runs_in_the_network_namespace_of_the_vantage_and_gives_what_it_prints() -> None:
    played = Played(out="done\n")

    assert _box(played).run("ip link set eth0 down") == "done\n"
    assert played.asked == [(["ip", "link", "set", "eth0", "down"], "/proc/7/ns/net", "")]


def test_quotes_keep_a_word_with_blanks_together_and_nothing_is_left_to_a_shell() -> None:
    played = Played()

    _box(played).run("ip link set eth0 alias 'a b'; $HOME *", text="input")

    assert played.asked == [
        (["ip", "link", "set", "eth0", "alias", "a b;", "$HOME", "*"], "/proc/7/ns/net", "input"),
    ]


def test_command_that_fails_is_named_with_what_it_said() -> None:
    played = Played(exit_status=2, err='Cannot find device "eth7"\n')

    with pytest.raises(LabError) as caught:
        _box(played).run("ip link set eth7 down")

    assert str(caught.value).splitlines() == [
        "could not change box",
        "  ip link set eth7 down",
        "  exit status 2",
        '  Cannot find device "eth7"',
    ]


def test_command_that_somebodys_machine_is_spared_stays_off_limits() -> None:
    class Somebodys(Played):
        def execute(self, argv: Sequence[str], *, net: str = "", text: str = "") -> Finished:
            raise OffLimits(f"it would run {' '.join(argv)}", where=self.name)

    with pytest.raises(OffLimits, match="it would run ip link set eth0 down"):
        _box(Somebodys()).run("ip link set eth0 down")
