"""The relay: what is said on one socket arrives at the other, both ways, until both have said all."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfacts.agent import protocol
from netfacts.lab.zipapp import zipapp

_ENDS_S = 30.0
_LARGE = bytes(range(256)) * 4096


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that came as a zipapp."""
    folder = tmp_path / "uploaded"
    folder.mkdir()
    (folder / "agent.pyz").write_bytes(zipapp())
    argv = [sys.executable, "-I", "-S", str(folder / "agent.pyz"), "trial", "60"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.stdin.close()
        process.wait(_ENDS_S)


def relayed(agent: subprocess.Popen[bytes], to: Path) -> str:
    assert agent.stdin is not None
    assert agent.stdout is not None
    agent.stdin.write(protocol.encode({"id": 1, "op": "relay", "args": {"to": str(to)}}))
    path: str = protocol.decode(agent.stdout.readline())["ok"]["path"]
    return path


def connected(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ENDS_S)
    connection.connect(path)
    return connection


def read_all(connection: socket.socket) -> bytes:
    data = b""
    while chunk := connection.recv(1 << 16):
        data += chunk
    return data


def test_much_passes_both_ways_and_one_side_may_end_first(agent: subprocess.Popen[bytes], tmp_path: Path) -> None:
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "engine.sock"))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                # It answers only when it has heard the end, as an engine does for an attached container.
                heard.append(read_all(connection))
                connection.sendall(_LARGE[::-1])

        thread = threading.Thread(target=serve)
        thread.start()
        path = relayed(agent, tmp_path / "engine.sock")
        with connected(path) as connection:
            connection.sendall(_LARGE)
            connection.shutdown(socket.SHUT_WR)

            answer = read_all(connection)
        thread.join(_ENDS_S)

    assert heard == [_LARGE]
    assert answer == _LARGE[::-1]


def test_socket_is_its_users_alone_and_lies_beside_the_zipapp(agent: subprocess.Popen[bytes], tmp_path: Path) -> None:
    path = relayed(agent, tmp_path / "engine.sock")

    about = os.stat(path)
    assert Path(path).parent == tmp_path / "uploaded"
    assert about.st_mode & 0o777 == 0o600
    assert about.st_uid == (tmp_path / "uploaded").stat().st_uid


def test_who_connects_to_nobody_sees_the_end(agent: subprocess.Popen[bytes], tmp_path: Path) -> None:
    path = relayed(agent, tmp_path / "nobody.sock")

    with connected(path) as connection:
        assert read_all(connection) == b""
