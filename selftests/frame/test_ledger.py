"""The ledger names what a selftest has left behind, and not what has gone while it waited."""

from __future__ import annotations

from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netfacts.model.errors import LabError

_CONFTEST = Path(__file__).parents[1] / "conftest.py"


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Any:
    """The module of the ledger, as pytest has loaded it."""
    (found,) = (
        one for one in request.config.pluginmanager.get_plugins() if getattr(one, "__file__", "") == str(_CONFTEST)
    )
    return found


def end(ledger: Any, before: frozenset[str]) -> None:
    item = SimpleNamespace(name="test_of_links", stash={ledger._BEFORE: before})
    teardown = ledger.pytest_runtest_teardown(item)
    next(teardown)
    next(teardown, None)


def test_what_is_still_there_at_the_end_is_named(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = chain([frozenset({"link lo", "link late", "mount /left"})], repeat(frozenset({"link lo", "mount /left"})))
    monkeypatch.setattr(ledger, "_ledger", lambda: next(seen))
    monkeypatch.setattr(ledger, "_SETTLED_S", 0.0)

    with pytest.raises(LabError, match="what test_of_links has left to go") as caught:
        end(ledger, frozenset({"link lo"}))

    assert caught.value.returned == "mount /left"
    assert "late" not in str(caught.value)


def test_what_goes_in_time_is_no_error(ledger: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = chain([frozenset({"link late"})] * 2, repeat(frozenset[str]()))
    monkeypatch.setattr(ledger, "_ledger", lambda: next(seen))

    end(ledger, frozenset())
