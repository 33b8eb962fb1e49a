"""When the harness has gone without a word, or in the middle of one, an agent says farewell all the same."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfacts.agent import farewell, protocol
from netfacts.agent.stamp import owner

_ENDS_S = 30.0
_NEVER = 0
"""The status of an answer that does not come."""
_INIT = "import sys; from netfacts.agent.init import Init; Init(reader=0, writer=1, patience_s={}).run()"


class Engine:
    """What is asked of an engine by a farewell: it remembers the questions, and answers as it is told to."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.asked: list[str] = []
        self.answers: dict[str, list[tuple[int, object]]] = {}
        """A question's first words → its answers in turn, the last one for good."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(4096).decode().partition("\r\n")[0]
                self.asked.append(asked)
                status, said = self._answer(asked.split("?")[0].removesuffix(" HTTP/1.1"))
                if status == _NEVER:
                    # Until whoever asked has given up.
                    connection.recv(1)
                    continue
                body = json.dumps(said).encode()
                connection.sendall(f"HTTP/1.0 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    def _answer(self, question: str) -> tuple[int, object]:
        answers = self.answers.get(question, [(200, [])])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(_ENDS_S)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(tmp_path / "engine.sock")
    yield engine
    engine.close()


def _agent(patience_s: float) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-c", _INIT.format(patience_s)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)


def _ask(process: subprocess.Popen[bytes], op: str, **args: object) -> object:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(protocol.encode({"id": 1, "op": op, "args": args}))
    return json.loads(process.stdout.readline())["ok"]


def test_agent_that_hears_nothing_says_farewell(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "uploaded"
    folder.mkdir()
    with _agent(1.0) as process:
        _ask(process, "bid-farewell", socket=engine.path, label="org.example", folder=str(folder))

        assert process.wait(_ENDS_S) == 0

    assert [line.split("?")[0] for line in engine.asked] == [
        "GET /services",
        "GET /containers/json",
        "GET /networks",
        "GET /images/json",
    ]
    assert not folder.exists()


def test_agent_whose_answer_nobody_reads_says_farewell(engine: Engine) -> None:
    with _agent(0.0) as process:
        _ask(process, "bid-farewell", socket=engine.path, label="org.example")
        assert process.stdin is not None
        assert process.stdout is not None
        # Its input stays open: the answer is what it learns it by.
        process.stdout.close()
        process.stdin.write(protocol.encode({"id": 2, "op": "release", "args": {"inode": 0}}))

        assert process.wait(_ENDS_S) == 0

    assert len(engine.asked) == 4


def test_what_another_host_still_uses_is_removed_when_it_no_longer_does(engine: Engine) -> None:
    with _agent(0.0) as process:
        said = _ask(process, "bid-farewell", socket=engine.path, label="org.example", together_s=20.0)
        assert isinstance(said, dict)
        mesh = {"Id": "mesh", "Labels": {"org.example": said["owner"]}}
        web = {"ID": "web", "Spec": {"Labels": {"org.example": said["owner"]}}}
        foreign = {"Id": "theirs", "Labels": {"org.example": "netfacts-1-1"}}
        engine.answers = {
            "GET /services": [(200, [web]), (200, [])],
            "GET /networks": [(200, [mesh, foreign]), (200, [mesh, foreign]), (200, [foreign])],
            "DELETE /networks/mesh": [(403, {"message": "in use"}), (204, None)],
        }
        assert process.stdin is not None
        process.stdin.close()

        assert process.wait(_ENDS_S) == 0

    removed = [line.split()[1] for line in engine.asked if line.startswith("DELETE")]
    assert removed == ["/services/web", "/networks/mesh", "/networks/mesh"]


def test_slow_answer_about_one_thing_leaves_the_others_to_be_removed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "_CALL_S", 0.5)
    things = [{"Id": name, "Labels": {"org.example": owner()}} for name in ("slow", "quick")]
    engine.answers = {
        "GET /containers/json": [(200, things)],
        "DELETE /containers/slow": [(_NEVER, None)],
        "DELETE /containers/quick": [(204, None)],
    }

    farewell.Farewell(engine.path, "org.example").carry_out()

    assert [line.split("?")[0] for line in engine.asked if line.startswith("DELETE")] == [
        "DELETE /containers/slow",
        "DELETE /containers/quick",
    ]


def test_worker_of_a_swarm_has_no_services_and_says_farewell_to_the_rest(engine: Engine) -> None:
    with _agent(0.0) as process:
        said = _ask(process, "bid-farewell", socket=engine.path, label="org.example")
        assert isinstance(said, dict)
        box = {"Id": "box", "Labels": {"org.example": said["owner"]}}
        engine.answers = {
            "GET /services": [(503, {"message": "This node is not a swarm manager."})],
            "GET /containers/json": [(200, [box])],
        }
        assert process.stdin is not None
        process.stdin.close()

        assert process.wait(_ENDS_S) == 0

    assert any(line.startswith("DELETE /containers/box") for line in engine.asked)


def test_only_one_visits_a_machine_at_a_time() -> None:
    with _agent(0.0) as first, _agent(0.0) as second:
        assert _ask(first, "visit-alone") is True
        assert _ask(second, "visit-alone") is False
        assert first.stdin is not None
        assert second.stdin is not None

        first.stdin.close()
        first.wait(_ENDS_S)

        assert _ask(second, "visit-alone") is True
        second.stdin.close()
