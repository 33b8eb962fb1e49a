"""Facts in shards: each in exactly one, of few shapes, and few move where one is added."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.catalogue import load
from netfacts.catalogue.shard import Shard
from netfacts.model.errors import UsageError
from netfacts.model.fact import Expectation, Fact
from netfacts.model.lab import SHAPES
from netfacts.model.verdict import Expected

NUMBERS = st.integers(1, 9)


def fact(name: str, shape: str = "one-host") -> Fact:
    expect = (Expectation(engine=">=20.10", outcome=Expected.HOLDS),)
    return Fact(id=f"area.{name}", area="area", claim=name, sources=(), lab=shape, expect=expect, show=())


FACTS = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.sampled_from(list(SHAPES)), max_size=40).map(
    lambda shapes: [fact(name, shape) for name, shape in shapes.items()]
)


def split(facts: Iterable[Fact], of: int) -> list[set[str]]:
    facts = list(facts)
    return [Shard(number, of).pick(facts) for number in range(1, of + 1)]


@given(FACTS, NUMBERS)
def test_each_fact_is_in_exactly_one_shard(facts: list[Fact], of: int) -> None:
    shards = split(facts, of)

    assert sorted(fact for shard in shards for fact in shard) == sorted(fact.id for fact in facts)


@given(FACTS, NUMBERS)
def test_order_of_the_catalogue_does_not_matter(facts: list[Fact], of: int) -> None:
    assert split(facts, of) == split(reversed(facts), of)


@given(FACTS, NUMBERS)
def test_two_shards_share_at_most_one_shape(facts: list[Fact], of: int) -> None:
    shapes = {fact.id: fact.lab for fact in facts}
    ordered = [{shapes[fact] for fact in shard} for shard in split(facts, of)]

    for one in range(of):
        for other in range(one + 1, of):
            assert len(ordered[one] & ordered[other]) <= 1


@given(FACTS, NUMBERS)
def test_added_fact_moves_others_at_the_borders_only(facts: list[Fact], of: int) -> None:
    home = {fact: number for number, shard in enumerate(split(facts, of)) for fact in shard}
    after = {fact: number for number, shard in enumerate(split([*facts, fact("new")], of)) for fact in shard}

    moved = [fact for fact, number in home.items() if after[fact] != number]

    assert all(abs(after[fact] - home[fact]) == 1 for fact in moved) or len(facts) < 3 * of
    assert len(moved) <= 2 * (of - 1)


@pytest.mark.parametrize("of", [2, 3, 4])
def test_shards_of_the_real_catalogue_are_of_a_size(of: int) -> None:
    catalogue = load()
    # Facts on two hosts count for three, those on three for five.
    known = {"two-hosts": 3, "underlay": 3, "hosts-3": 5, "fabric": 5}
    cost = {one.id: known.get(one.lab, 1) for one in catalogue}
    costs = [sum(cost[one] for one in shard) for shard in split(catalogue, of)]

    assert max(costs) - min(costs) <= max(cost.values())


@pytest.mark.parametrize(
    "text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3 ", "a/b", "1/3/3", "01/3", "1/1000", "1,2/3"]
)
def test_what_is_no_shard_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no shard") as raised:
        Shard.parse(text)

    assert "--shard 1/3" in raised.value.remedy


def test_shard_reads_as_it_is_written() -> None:
    assert str(Shard.parse("2/12")) == "2/12"
    assert Shard.parse("2/12") == Shard(2, 12)
