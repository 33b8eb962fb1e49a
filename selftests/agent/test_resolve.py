"""Name resolution as an application does it, of names that no server would ever hear, and by a child that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netfacts.agent import resolve


def resolved(*names: str) -> list[dict[str, Any]]:
    """Resolve names here, by this machine's own files; none of them is one that its servers would be asked for."""
    args = {"names": [[name, 4] for name in names], "mnt": "", "timeout_s": 10.0}
    return asyncio.run(resolve.resolve(args))


@pytest.mark.parametrize("name", [f"{'a' * 64}.example", f"{'a' * 5000}", "a..b", "a\0b", "\ud800.example", ".a"])
def test_name_that_can_t_be_asked_for_is_an_error_of_the_probe_and_costs_the_others_nothing(name: str) -> None:
    """It was called a time-out of all of them."""
    bad, good = resolved(name, "127.0.0.1")

    assert (bad["outcome"], bad["addresses"]) == ("probe_error", [])
    assert repr(name) in bad["detail"]
    assert (good["outcome"], good["addresses"]) == ("connected", ["127.0.0.1"])


@settings(max_examples=30, deadline=None)
@given(st.text("\0.ä\ud800\u3002\ufffd", min_size=1, max_size=70).map(lambda name: f"a..{name}"))
@example("..")
def test_no_name_with_an_empty_label_is_asked_for(name: str) -> None:
    (answer,) = resolved(name)

    assert (answer["outcome"], answer["addresses"]) == ("probe_error", [])


def test_child_that_is_killed_is_no_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "_lookup", lambda *_: os.kill(os.getpid(), signal.SIGKILL))

    with pytest.raises(RuntimeError, match="ended with status -9"):
        resolved("127.0.0.1")


def test_mount_namespace_that_is_none_is_said(tmp_path: Any) -> None:
    (tmp_path / "mnt").write_text("")
    args = {"names": [["127.0.0.1", 4]], "mnt": str(tmp_path / "mnt"), "timeout_s": 10.0}

    with pytest.raises(RuntimeError, match="could not join the container's files"):
        asyncio.run(resolve.resolve(args))


def test_names_that_are_asked_for_at_once_do_not_wait_for_one_without_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def slow(name: str, _: int) -> dict[str, Any]:
        if name == "silent":
            time.sleep(30)
        return {"outcome": "connected", "addresses": [name]}

    monkeypatch.setattr(resolve, "_lookup", slow)
    names = ["silent", "a", "b", "c"]
    args = {"names": [[name, 4] for name in names], "mnt": "", "timeout_s": 0.5, "at_once": 2}

    answers = asyncio.run(resolve.resolve(args))

    assert [answer["outcome"] for answer in answers] == ["timed_out", "connected", "connected", "connected"]
    assert [answer["addresses"] for answer in answers[1:]] == [["a"], ["b"], ["c"]]
    assert answers[0]["detail"] == "no answer within 0.5 s"
