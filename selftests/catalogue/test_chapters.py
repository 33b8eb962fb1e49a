"""The guide's chapters have every fact once, in the order in which it is to be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfacts.catalogue import load
from netfacts.catalogue.chapters import load_chapters
from netfacts.catalogue.load import Catalogue
from netfacts.model.errors import UsageError
from selftests.catalogue.conftest import ENTRY, Write


@pytest.fixture
def catalogue(write: Write) -> Catalogue:
    return load(write("\n".join(ENTRY.replace("dns.scope", name) for name in ("dns.scope", "dns.ttl", "none.lo"))))


def chapters(folder: Path, *facts: str) -> Path:
    """One chapter for each of these, which read as they stand in a file."""
    path = folder / "chapters"
    path.write_text(
        "".join(f'[[chapter]]\ntitle = "One"\nabout = ["It is so."]\nfacts = [{names}]\n' for names in facts)
    )
    return path


def refused(catalogue: Catalogue, path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_chapters(catalogue, path)
    assert caught.value.where == str(path)
    return caught.value


def test_every_fact_of_the_catalogue_is_in_exactly_one_chapter() -> None:
    catalogue = load()

    placed = [fact.id for chapter in load_chapters(catalogue) for fact in chapter.facts]

    assert sorted(placed) == sorted(fact.id for fact in catalogue)


def test_every_chapter_has_an_introduction_of_sentences() -> None:
    for chapter in load_chapters(load()):
        assert chapter.about, chapter.title
        for paragraph in chapter.about:
            assert paragraph == paragraph.strip(), chapter.title
            assert paragraph.endswith("."), chapter.title


def test_fact_that_is_named_stands_there_and_its_group_gives_the_others(catalogue: Catalogue, tmp_path: Path) -> None:
    first, second = load_chapters(catalogue, chapters(tmp_path, '"dns"', '"none", "dns.scope"'))

    assert [fact.id for fact in first.facts] == ["dns.ttl"]
    assert [fact.id for fact in second.facts] == ["none.lo", "dns.scope"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (['"dns"'], "no chapter of the guide has none.lo"),
        (['"dns", "none"', '"dns"'], "dns stands twice"),
        (['"dns", "none", "hosts"'], "no fact's name begins with hosts."),
        (['"dns", "none", "dns.scop"'], "there is no fact 'dns.scop'"),
        (["1"], "could not read the guide's chapters"),
    ],
)
def test_what_is_wrong_is_refused(catalogue: Catalogue, tmp_path: Path, facts: list[str], said: str) -> None:
    assert said in refused(catalogue, chapters(tmp_path, *facts)).attempted
