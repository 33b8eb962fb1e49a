"""Splits facts into shards, so that several machines share one run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from netfacts.model.errors import UsageError
from netfacts.model.fact import Fact
from netfacts.model.lab import rank, shape

_SHARD = re.compile(r"([1-9][0-9]{0,2})/([1-9][0-9]{0,2})")


@dataclass(frozen=True)
class Shard:
    """One of `of` shares of a run's facts."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read "1/3".

        Raises: UsageError for what is no shard.
        """
        match = _SHARD.fullmatch(text)
        if match is None or int(match[1]) > int(match[2]):
            raise UsageError(
                f"{text!r} is no shard", remedy="the first of three is `--shard 1/3`, the last `--shard 3/3`"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def pick(self, facts: Iterable[Fact]) -> set[str]:
        """Give the ids of those of the facts that belong to this shard.

        The facts stand in a row, shape by shape, and each shard is a stretch of it: so it needs few labs, and a fact
        that is added moves no others but those at the borders. All cases of a fact are in one shard.
        """
        row = sorted(facts, key=lambda fact: (rank(fact.lab), sha256(fact.id.encode()).digest()))
        total = sum(_weight(fact) for fact in row)
        picked, before = set(), 0
        for fact in row:
            # By its middle, in whole numbers: halves would depend on how a machine rounds.
            if (2 * before + _weight(fact)) * self.of // (2 * total) == self.number - 1:
                picked.add(fact.id)
            before += _weight(fact)
        return picked


def _weight(fact: Fact) -> int:
    """What a fact costs beside others: checks on two hosts take about three times as long as those on one."""
    engines = sum(machine.engine for machine in shape(fact.lab).machines)
    return 2 * engines - 1
