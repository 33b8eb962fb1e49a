"""The catalogue that ships: it loads, and is unambiguous for every engine there is or may soon be."""

from __future__ import annotations

import re

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from netfacts.catalogue import Catalogue, load
from netfacts.catalogue.load import FACTS
from netfacts.engine.stock import STOCK
from netfacts.lab.kernel import FEATURES
from netfacts.model.fact import NEEDS, Fact

# Every release series since the oldest that is supported, the last patches that matter, and the ends of the range.
RELEASES = ["20.10.0", "20.10.24", "23.0.0", "24.0.9", "25.0.0", "26.1.5", "27.0.0", "27.5.1", "28.0.0", "28.5.2"]
RELEASES += ["29.0.0", "29.0.3", "29.0.4", "29.1.0", "30", "30.0.1"]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


def versions(fact: Fact) -> list[Version]:
    """The releases, and those on both sides of every bound that the fact's ranges name."""
    found = {Version(release) for release in RELEASES}
    for expectation in fact.expect:
        for specifier in SpecifierSet(expectation.engine):
            release = list(Version(specifier.version).release)
            release += [0] * (3 - len(release))
            found |= {Version(".".join(map(str, release)))}
            if release[-1]:
                found |= {Version(".".join(map(str, [*release[:-1], release[-1] - 1])))}
            found |= {Version(".".join(map(str, [*release[:-1], release[-1] + 1])))}
    return sorted(version for version in found if version >= Version("20.10.0"))


def test_every_engine_version_has_exactly_one_expectation_of_every_fact(catalogue: Catalogue) -> None:
    wrong = {
        f"{fact.id} on {version}": [expectation.engine for expectation in fact.expect if expectation.covers(version)]
        for fact in catalogue
        for version in versions(fact)
        if sum(expectation.covers(version) for expectation in fact.expect) != 1
    }

    assert wrong == {}


def test_every_change_of_behaviour_names_its_source(catalogue: Catalogue) -> None:
    """Of two ranges with other outcomes, the later one says which release note or pull request made the difference."""
    silent = [
        f"{fact.id}: {later.engine}"
        for fact in catalogue
        for earlier, later in zip(fact.expect, fact.expect[1:], strict=False)
        if earlier.outcome is not later.outcome and not (earlier.source or later.source)
    ]

    assert silent == []


def test_every_need_is_a_feature_that_is_looked_for() -> None:
    """A need that nothing ever reports missing would let a check run where it can't."""
    of_kernel = {feature.name for feature in FEATURES if not feature.vital}
    of_engine = {"iptables", "docker-cli"}
    of_host = {"lab-nameserver"}

    assert set(NEEDS) == of_kernel | of_engine | of_host | STOCK.keys()


def test_every_text_is_clean(catalogue: Catalogue) -> None:
    """A claim is a sentence; no text begins or ends with white space, or holds a line break by accident."""
    for fact in catalogue:
        assert fact.claim.endswith((".", "`")), fact.id
        for text in (fact.claim, fact.note, *fact.sources, *fact.show):
            assert text == text.strip(), fact.id
            assert "\n" not in text, fact.id


def test_catalogue_has_every_file_s_entries_in_the_order_of_the_files(catalogue: Catalogue) -> None:
    titles = [
        (path.stem, title)
        for path in sorted(FACTS.glob("*.toml"))
        for title in re.findall(r"^\[([^\[\]]+)\]", path.read_text(), flags=re.MULTILINE)
    ]

    assert [(fact.area, fact.id) for fact in catalogue] == titles
    assert len(catalogue) == len(titles)
    assert all(title in catalogue for _, title in titles)
