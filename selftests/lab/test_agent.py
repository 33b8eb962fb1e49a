"""The harness's end of a conversation with an agent that says what no agent should: a lab error, at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import wait
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netfacts.agent import protocol
from netfacts.lab import site
from netfacts.lab.agent import Agent, Refusal
from netfacts.lab.forkserver import Keeper
from netfacts.model.errors import LabError, OffLimits, ProbeError
from selftests.agent.test_protocol import MESSAGES, VALUES

# Far below what a call would wait for an answer that never comes.
_AT_ONCE_S = 10.0
_HELLO = protocol.encode({"pid": 4711})


class Liar:
    """Stands for the fork server and the agent: says what a test gives it, and reads nothing."""

    def __init__(self) -> None:
        self.mouth = -1
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, name: str, *, guarded: bool, log: object) -> Keeper:
        """Fork nothing but a program that ends when it is hung up on."""
        self.close()
        theirs, stdin = os.pipe()
        stdout, self.mouth = os.pipe()
        self._process = subprocess.Popen(["cat"], stdin=theirs, stdout=subprocess.DEVNULL)
        os.close(theirs)
        os.write(self.mouth, self.hello)
        return Keeper(os.pidfd_open(self._process.pid), stdin, stdout)

    hello = _HELLO

    def close(self) -> None:
        """Say no more."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.close(self.mouth)
            self._process.wait(_AT_ONCE_S)
            self._process = None


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Liar]:
    """The one that agents are forked by."""
    liar = Liar()
    monkeypatch.setattr(site, "FORK_SERVER", liar)
    yield liar
    liar.close()


def asked(liar: Liar, *lines: bytes) -> Any:
    """Ask an agent two things, have it say these lines and end; give the first's result, or raise what comes of it."""
    agent = Agent("liar")
    try:
        first, second = agent.submit("processes"), agent.submit("sockets")
        began = time.monotonic()
        for line in lines:
            os.write(liar.mouth, line + b"\n")
        os.close(liar.mouth)
        try:
            return agent.settle(first, "processes", timeout_s=_AT_ONCE_S)
        finally:
            wait([second], _AT_ONCE_S)
            assert second.done()
            assert time.monotonic() - began < _AT_ONCE_S
    finally:
        agent.close()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"garbage", "Expecting value"),
        (b"[]", "expected an object"),
        (b"[" * 100_000, "nested too deeply"),
        (b"{}", "expected an id, got NoneType"),
        (b'{"id": "1", "ok": 1}', "expected an id, got str"),
        (b'{"id": true, "ok": 1}', "expected an id, got bool"),
        (b'{"id": [1], "ok": 1}', "expected an id, got list"),
        (b'{"id": 1}', "it holds neither a result nor an error: ['id']"),
        (b'{"id": 1, "error": "no"}', "it holds neither a result nor an error: ['error', 'id']"),
        (b'{"id": 1, "error": 7, "kind": "gone"}', "it holds neither a result nor an error"),
        (b'{"id": 1, "error": "no", "kind": "gone", "errno": "2"}', "it holds neither a result nor an error"),
        (b'{"pid": 4711}', "expected an id"),
        # An answer to nobody's question is nobody's loss; that this one gets none is told by its end.
        (b'{"id": 99, "ok": 1}', "it ended"),
    ],
)
def test_answer_that_can_t_be_read_loses_the_machine_for_all_who_wait(liar: Liar, line: bytes, words: str) -> None:
    with pytest.raises(LabError, match="the agent of a machine is lost") as caught:
        asked(liar, line)

    assert caught.value.where == "liar"
    assert words in caught.value.returned


def test_answer_before_the_garbage_is_heard(liar: Liar) -> None:
    assert asked(liar, b'{"id": 1, "ok": [1]}', b"garbage") == [1]


@pytest.mark.parametrize(("kind", "errno"), [("gone", None), ("refused", None), ("failed", 2)])
def test_refusal_is_told_as_it_is(liar: Liar, kind: str, errno: int | None) -> None:
    with pytest.raises(Refusal) as caught:
        asked(liar, protocol.encode({"id": 1, "error": "no", "kind": kind, "errno": errno}))

    assert (caught.value.returned, caught.value.kind, caught.value.errno) == ("no", kind, errno)


@pytest.mark.parametrize("hello", [b"garbage", b"{}", b'{"pid": "1"}', b'{"pid": true}', b'{"pid": -1}', b'{"id": 1}'])
def test_agent_that_does_not_say_its_pid_is_none(liar: Liar, hello: bytes) -> None:
    liar.hello = hello + b"\n"
    began = time.monotonic()

    with pytest.raises(LabError, match="could not start the agent of a machine") as caught:
        Agent("liar")

    assert "its answers can't be read" in caught.value.returned
    assert time.monotonic() - began < _AT_ONCE_S


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.binary(max_size=30).map(lambda data: data.replace(b"\n", b""))
        | MESSAGES.map(lambda message: protocol.encode(message).strip())
        | st.fixed_dictionaries(
            {"id": st.integers(1, 3) | VALUES},
            optional={"ok": VALUES, "error": VALUES, "kind": VALUES | st.just("gone"), "errno": VALUES, "pid": VALUES},
        ).map(lambda message: protocol.encode(message).strip()),
        max_size=3,
    )
)
@example([b'{"id": 1, "error": "a", "kind": "off_limits"}'])
def test_whatever_an_agent_says_is_a_result_or_an_error_of_ours(liar: Liar, lines: list[bytes]) -> None:
    """And it comes at once, to all who wait."""
    where = "liar"
    try:
        asked(liar, *lines)
    except (LabError, ProbeError, OffLimits) as error:
        where = error.where
    assert where == "liar"
