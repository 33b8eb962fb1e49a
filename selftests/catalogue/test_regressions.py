"""The regressions of the past: read strictly, and their page is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfacts.catalogue import load
from netfacts.catalogue.regressions import PAGE, Where, load_regressions, markdown
from netfacts.model.errors import UsageError

CATALOGUE = load()


def write(folder: Path, **fields: object) -> Path:
    """A file with one entry; `fields` replace or, where None, take away what is usual."""
    usual: dict[str, object] = {
        "issues": ["moby/moby#1"],
        "broke-in": "1.0",
        "what": "It broke.",
        "caught-by": ["dns.scope"],
    }
    fields = {key.replace("_", "-"): value for key, value in fields.items()}
    lines = [f"{key} = {value!r}" for key, value in (usual | fields).items() if value is not None]
    path = folder / "regressions.toml"
    path.write_text("\n".join(["[[regression]]", *lines, ""]))
    return path


def test_committed_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == markdown(load_regressions(CATALOGUE)), "netfacts facts regressions --write"


def test_every_one_is_caught_or_says_why_not() -> None:
    found = load_regressions(CATALOGUE)

    assert len(found) == 19
    assert all(one.caught_by or one.reason for one in found)
    assert all(one.run is Where.FRESH for one in found if not one.caught_by)


def test_entry_reads_as_it_is_written(tmp_path: Path) -> None:
    (one,) = load_regressions(CATALOGUE, write(tmp_path, run="carried"))

    assert (one.issues, one.broke_in, one.caught_by, one.run) == (("moby/moby#1",), "1.0", ("dns.scope",), "carried")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"caught_by": ["dns.scop"]}, "there is no fact 'dns.scop'"),
        ({"caught_by": None}, "says which facts catch it"),
        ({"issues": []}, "names its issues"),
        ({"issues": ["#42"]}, "names its issues"),
        ({"issues": ["moby/moby#1", "moby/moby#1"]}, "stands twice"),
        ({"run": "sideways"}, "could not read"),
        ({"cause": "unknown"}, "could not read"),
        ({"what": None}, "could not read"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(tmp_path: Path, fields: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        load_regressions(CATALOGUE, write(tmp_path, **fields))

    assert str(tmp_path) in raised.value.where


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not read"):
        load_regressions(CATALOGUE, tmp_path / "none.toml")


def test_page_leads_to_issues_and_says_where_they_show(tmp_path: Path) -> None:
    page = markdown(load_regressions(CATALOGUE, write(tmp_path, run="back", what="a | b", reason="Not all of it.")))

    start = "| [#1](https://github.com/moby/moby/issues/1) | 1.0 | a \\| b | "
    assert f"{start}`dns.scope` in the run `back` of `netfacts upgrade`. Not all of it. |\n" in page
