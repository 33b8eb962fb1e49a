"""PID 1 of a machine goes on whatever it is told: what is no request is logged, and what is one is answered."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netfacts.agent import protocol

_PATIENCE_S = 20.0
# It serves here, where it is nobody's PID 1 and may do no harm: what starts, ends or writes something is not asked for.
_HARMLESS = ("wait", "release", "probe", "sockets", "say", "close", "captured", "files", "nonsense", "")


class Init:
    """An agent's loop in a process of its own, and a harness that says whatever it likes."""

    def __init__(self) -> None:
        self._numbers = iter(range(10**6, 10**9))
        self._lines = protocol.Lines()
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from netfacts.agent.init import Init; Init(reader=0, writer=1).run()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )

    def say(self, *lines: bytes) -> list[dict[str, Any]]:
        """Send lines and then a request whose answer is known; give the answers that come before it."""
        number = next(self._numbers)
        known = protocol.encode({"id": number, "op": "release", "args": {"inode": 0}})
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n".join([*lines, known]))
        heard: list[dict[str, Any]] = []
        deadline = time.monotonic() + _PATIENCE_S
        while {"id": number, "ok": False} not in heard:
            heard += self._hear(deadline - time.monotonic())
        heard.remove({"id": number, "ok": False})
        return heard

    def answer_to(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and give the answer to it, whenever it comes."""
        heard = self.say(protocol.encode(request))
        deadline = time.monotonic() + _PATIENCE_S
        while not (mine := [one for one in heard if one["id"] == request["id"]]):
            heard += self._hear(deadline - time.monotonic())
        return mine[0]

    def _hear(self, timeout_s: float) -> list[dict[str, Any]]:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, timeout_s))
        assert readable, "no answer"
        data = os.read(self.process.stdout.fileno(), 1 << 20)
        assert data, "PID 1 has ended"
        return [protocol.decode(line) for line in self._lines.feed(data)]

    def close(self) -> tuple[int, str]:
        """Hang up; give the exit status and the log."""
        _, said = self.process.communicate(timeout=_PATIENCE_S)
        return self.process.returncode, said.decode()


@pytest.fixture(scope="module")
def init() -> Iterator[Init]:
    """The module's agent, which no test may end. Undo: it is hung up on."""
    init = Init()
    yield init
    init.process.kill()
    init.process.communicate()


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from([10**400, -1, 1e308])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
ARGS = st.fixed_dictionaries(
    {},
    optional={
        # In it a wait for long may be asked for, but none for a process of ours.
        "pid": SCALARS.filter(lambda pid: pid not in range(1, 2**22)),
        "timeout_s": SCALARS,
        "inode": VALUES,
        "probes": VALUES,
        "paths": st.lists(st.sampled_from(["/proc/self/comm", "/none", "\0"]), max_size=2),
        "listener": SCALARS,
        "connection": SCALARS,
    },
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(1, 999) | VALUES,
        "op": st.sampled_from(_HARMLESS) | SCALARS.filter(lambda op: not isinstance(op, str)) | st.just(["wait"]),
        "net": st.sampled_from(["", "/none", "\0", "/proc/1/stat/x", "a" * 5000]) | st.lists(SCALARS, max_size=1),
        "args": ARGS | VALUES,
    },
)


def line_of(value: Any) -> bytes:
    """A value as a line."""
    return json.dumps(value).encode()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"")) | VALUES.map(line_of) | REQUESTS.map(line_of),
        max_size=4,
    )
)
@example([b"[" * 100_000])
@example([b'{"id":' * 100_000])
@example([b'{"id":1,"op":"wait","args":{"pid":1,"timeout_s":1e400}}'])
@example([b'{"id":1,"op":"wait","args":{"pid":1,"timeout_s":NaN}}'])
@example([b'{"id":1,"op":"wait","args":{"pid":[1],"timeout_s":1}}'])
@example([b'{"id":[1],"op":"sockets"}', b'{"id":true,"op":"sockets"}', b'{"op":"sockets"}'])
@example([b'{"id":1' + b"0" * 5000 + b',"op":"release"}'])
def test_any_lines_leave_it_serving(init: Init, lines: list[bytes]) -> None:
    """Every answer is to a request, by its number, and is a result or an error in words."""
    for reply in init.say(*lines):
        assert type(reply["id"]) is int
        assert "ok" in reply or (reply["error"] and reply["kind"] in ("gone", "refused", "failed"))


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        ({"op": "nonsense"}, "refused", "no such operation"),
        ({}, "failed", "'op'"),
        ({"op": ["wait"]}, "failed", "unhashable"),
        ({"op": "wait"}, "failed", "'pid'"),
        ({"op": "wait", "args": {"pid": "1", "timeout_s": 1}}, "failed", "PID '1'"),
        ({"op": "wait", "args": {"pid": 1, "timeout_s": -1}}, "failed", "can't wait -1 s"),
        ({"op": "wait", "args": {"pid": 1, "timeout_s": 10**9}}, "failed", "can't wait 1000000000 s"),
        ({"op": "wait", "args": {"pid": 1, "timeout_s": 1}}, "refused", "PID 1 was not started by this agent"),
        ({"op": "release", "args": []}, "failed", "list"),
        ({"op": "files", "args": 7}, "failed", "int"),
        ({"op": "files", "args": {}}, "refused", "'paths'"),
        ({"op": "sockets", "net": "/none"}, "gone", "No such file"),
        ({"op": "sockets", "net": "\0"}, "failed", "null byte"),
        ({"op": "sockets", "net": ["x"]}, "failed", "list"),
        # A path at which there is no namespace: its worker can't begin.
        ({"op": "sockets", "net": "/etc/passwd"}, "gone", "see the agent's log"),
    ],
)
def test_request_that_can_t_be_met_is_refused_in_words(
    init: Init, request_: dict[str, Any], kind: str, words: str
) -> None:
    reply = init.answer_to({"id": 7} | request_)

    assert reply["kind"] == kind
    assert words in reply["error"]


def test_what_is_no_request_is_logged() -> None:
    init = Init()

    assert init.say(b"garbage", b"[]", b'{"op": "sockets"}') == []

    status, log = init.close()
    assert status == 0
    assert [line for line in log.splitlines() if "no request" in line] == [
        "no request: Expecting value: line 1 column 1 (char 0): b'garbage'",
        "no request: expected an object, got list: b'[]'",
        'no request: expected an id, got NoneType: b\'{"op": "sockets"}\'',
    ]
