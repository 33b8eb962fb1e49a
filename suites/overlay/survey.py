"""Who of several containers resolves whom, and who reaches whom: one look at an overlay, as two tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from netfacts.model.verdict import Observation, Outcome
from netfacts.probe import Answer, Resolution, ask, icmp, resolve
from netfacts.topology import Container, Network
from netfacts.verdict import equal, seen

Pair = tuple[Container, Container]
"""Who looks, and for whom."""
_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Survey:
    """What each container made of each other's name and of its address, at one moment."""

    mesh: Network
    containers: Sequence[Container]
    names: Mapping[tuple[str, str], Resolution]
    """By who looked and for whom, as `answers`."""
    answers: Mapping[tuple[str, str], Answer]

    def together(self, *pairs: Pair, control: bool = False) -> list[Observation]:
        """Observe that of these pairs the one resolves the other to its address, and reaches it there."""
        return [one for here, there in pairs for one in self._together(here, there, control=control)]

    def _together(self, here: Container, there: Container, *, control: bool) -> list[Observation]:
        found, answer = self.names[here.name, there.name], self.answers[here.name, there.name]
        address = there.address_on(self.mesh.name)
        return [
            equal(f"addresses of {there.name}", list(found.addresses), [address], vantage=here.name, control=control),
            seen(answer, Outcome.CONNECTED, control=control),
        ]

    def apart(self, *pairs: Pair) -> list[Observation]:
        """Observe, as controls, that of these pairs the one neither resolves the other nor reaches it."""
        keys = [(here.name, there.name) for here, there in pairs]
        return [
            *(seen(self.names[key], Outcome.NAME_NOT_FOUND, control=True) for key in keys),
            *(seen(self.answers[key], Outcome.TIMED_OUT, Outcome.UNREACHABLE, control=True) for key in keys),
        ]

    def text(self) -> str:
        """Both tables, for evidence: who looks at the left, for whom above."""
        names = {key: " ".join(found.addresses) or found.outcome.value for key, found in self.names.items()}
        reach = {key: answer.outcome.value for key, answer in self.answers.items()}
        return "\n".join([*self._table("resolves", names), "", *self._table("reaches", reach)])

    def _table(self, title: str, said: Mapping[tuple[str, str], str]) -> list[str]:
        who = [container.name for container in self.containers]
        rows = [[title, *who], *([here, *(said.get((here, there), "–") for there in who)] for here in who)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def survey(mesh: Network, containers: Sequence[Container]) -> Survey:
    """Have each of the containers look for each other, by name and by its address on the overlay.

    Raises: ProbeError.
    """
    pairs = everyone(containers)
    keys = [(here.name, there.name) for here, there in pairs]
    answers = ask(*(icmp(here.vantage, there.address_on(mesh.name), timeout_s=_TIMEOUT_S) for here, there in pairs))
    found = [
        one for here in containers for one in resolve(here.vantage, *(name for by, name in keys if by == here.name))
    ]
    names = {(str(one.vantage), one.name): one for one in found}
    return Survey(mesh, containers, names, dict(zip(keys, answers, strict=True)))


def everyone(containers: Sequence[Container]) -> list[Pair]:
    """Give every pair of containers, each way."""
    return list(permutations(containers, 2))
