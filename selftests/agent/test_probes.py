"""Probes and listeners of the agent, on this machine's loopback: no root, no lab."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import json
import os
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import dns.message
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netfacts.agent import probes
from netfacts.agent.listeners import Listeners
from netfacts.model.verdict import Outcome

Answer = dict[str, Any]


def probe(*asked: Answer) -> list[Answer]:
    """Carry out probes with nothing of ours listening."""
    usual = {"address": "127.0.0.1", "timeout_s": 5.0, "kind": "tcp"}
    return asyncio.run(probes.probe_all({"probes": [usual | one for one in asked]}))


def with_listener(kind: str, *asked: Answer, address: str = "127.0.0.1", **options: Any) -> list[Answer]:
    """Open a listener, put probes to it and close it, in one event loop."""

    async def run() -> list[Answer]:
        listeners = Listeners()
        opened = await listeners.open({"kind": kind, "address": address, "port": 0, "name": "box"} | options)
        usual = {"address": address, "port": opened["port"], "timeout_s": 5.0}
        answers = await probes.probe_all({"probes": [usual | one for one in asked]})
        assert await listeners.close({"listener": opened["listener"]}) is True
        assert await listeners.close({"listener": opened["listener"]}) is False
        return answers

    return asyncio.run(run())


def with_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], asked: Answer
) -> Answer:
    """Put one probe to a server that does as `handle` says."""

    async def run() -> Answer:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            (answer,) = await probes.probe_all(
                {"probes": [{"address": "127.0.0.1", "port": port, "timeout_s": 5.0} | asked]}
            )
        return answer

    return asyncio.run(run())


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on, as of a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# -- how each kind ends


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_echo_listener_says_whom_it_saw(kind: str, address: str) -> None:
    (answer,) = with_listener(kind, {"kind": kind}, address=address)

    assert (answer["outcome"], answer["peer"], answer["name"]) == ("connected", address, "box")
    assert answer["latency_ms"] > 0


def test_http_probe_is_answered_by_the_same_listener() -> None:
    (answer,) = with_listener("tcp", {"kind": "http", "path": "/x"})

    assert (answer["outcome"], answer["status"], answer["peer"], answer["name"]) == (
        "connected",
        200,
        "127.0.0.1",
        "box",
    )
    assert json.loads(answer["body"])["echo"] == ""


def test_probe_leaves_from_the_source_that_it_names() -> None:
    (answer,) = with_listener("tcp", {"kind": "tcp", "source": "127.0.0.7"})

    assert (answer["peer"], answer["local"]) == ("127.0.0.7", "127.0.0.7")


def test_probe_that_only_connects_asks_for_no_answer() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert with_server(silent, {"kind": "tcp", "exchange": False})["outcome"] == "connected"
    assert with_server(silent, {"kind": "tcp", "timeout_s": 0.1})["outcome"] == "timed_out"


@pytest.mark.parametrize("kind", ["tcp", "udp", "http", "exchange"])
def test_closed_port_refuses(kind: str, free_port: int) -> None:
    (answer,) = probe({"kind": kind, "port": free_port, "payload": ""})

    assert (answer["outcome"], answer["detail"]) == ("refused", "Connection refused")


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_server_that_closes_without_a_word_is_a_reset(kind: str) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    answer = with_server(close, {"kind": kind})

    assert (answer["outcome"], answer["detail"]) == ("reset", "closed before an answer")


def test_reset_of_the_connection_is_a_reset() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    answer = with_server(reset, {"kind": "tcp"})

    assert (answer["outcome"], answer["detail"]) == ("reset", "Connection reset by peer")


@pytest.mark.parametrize(
    "said", [b"220 ready\n", b"[1]\n", b"7\n", b'"x"\n', b"{}\n", b'{"status": "up"}\n', b"null\n"]
)
def test_server_that_is_no_echo_listener_is_connected_and_said_to_be_one(said: bytes) -> None:
    """A real service behind a port is a fact about that port, and no trouble of the probe."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    answer = with_server(greet, {"kind": "tcp"})

    assert (answer["outcome"], answer["detail"]) == ("connected", "not an echo listener")
    assert base64.b64decode(answer["reply"]) == said


def test_answer_with_another_s_nonce_is_an_error_of_the_probe() -> None:
    """Two connections whose answers got mixed up prove nothing."""

    async def mix_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b'{"name": "box", "echo": "other", "peer": "127.0.0.1", "local": "127.0.0.1"}\n')
        writer.close()

    answer = with_server(mix_up, {"kind": "tcp", "nonce": "mine"})

    assert answer["outcome"] == "probe_error"
    assert "mine" in answer["detail"]
    assert "other" in answer["detail"]


def test_unknown_kind_of_probe_is_an_error_of_its_own() -> None:
    first, second = probe({"kind": "sctp", "port": 1}, {"kind": "tcp", "port": 1})

    assert first["outcome"] == "probe_error"
    assert second["outcome"] == "refused"


def test_answers_come_in_the_order_of_the_probes() -> None:
    answers = with_listener("tcp", *[{"kind": "tcp", "nonce": f"n{number}"} for number in range(600)])

    assert len(answers) == 600
    assert {answer["outcome"] for answer in answers} == {"connected"}


def test_listener_on_a_port_in_use_is_refused_with_errno() -> None:
    async def twice() -> None:
        listeners = Listeners()
        opened = await listeners.open({"kind": "tcp", "address": "127.0.0.1", "port": 0})
        try:
            await listeners.open({"kind": "tcp", "address": "127.0.0.1", "port": opened["port"]})
        finally:
            await listeners.close({"listener": opened["listener"]})

    with pytest.raises(OSError, match="in use") as caught:
        asyncio.run(twice())
    assert caught.value.errno == errno.EADDRINUSE


# -- DNS


@pytest.mark.parametrize(("kind", "over"), [("dns-udp", "udp"), ("dns-tcp", "tcp")])
def test_dns_listener_knows_its_names_and_no_others(kind: str, over: str) -> None:
    def ask(name: str, record: str) -> Answer:
        payload = base64.b64encode(dns.message.make_query(name, record).to_wire()).decode()
        return {"kind": "exchange", "over": over, "payload": payload}

    answers = with_listener(
        kind, ask("Host.lab", "A"), ask("host.lab.", "AAAA"), ask("other.lab", "A"), names={"host.lab": "198.51.100.10"}
    )

    found, empty, unknown = (dns.message.from_wire(base64.b64decode(answer["reply"])) for answer in answers)
    assert [item.to_text() for rrset in found.answer for item in rrset] == ["198.51.100.10"]
    assert (empty.rcode().name, empty.answer) == ("NOERROR", [])
    assert unknown.rcode().name == "NXDOMAIN"


def test_question_that_was_asked_before_gets_the_same_answer_with_its_own_number() -> None:
    query = dns.message.make_query("host.lab", "A", id=1)
    again = dns.message.make_query("host.lab", "A", id=2)
    payloads = [base64.b64encode(one.to_wire()).decode() for one in (query, again)]

    answers = with_listener(
        "dns-udp",
        *({"kind": "exchange", "over": "udp", "payload": payload} for payload in payloads),
        names={"host.lab": "198.51.100.10"},
    )

    found = [dns.message.from_wire(base64.b64decode(answer["reply"])) for answer in answers]
    assert [message.id for message in found] == [1, 2]
    assert found[0].answer == found[1].answer != []


def test_probes_are_put_no_more_at_once_than_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way, most = 0, 0

    async def count(_: Answer) -> Answer:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return {"outcome": "connected"}

    monkeypatch.setitem(probes._KINDS, "count", count)
    asked = [{"kind": "count", "timeout_s": 5.0}] * 10

    answers = asyncio.run(probes.probe_all({"probes": asked, "at_once": 3}))

    assert [answer["outcome"] for answer in answers] == ["connected"] * 10
    assert most == 3


# -- pure parts


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.ECONNRESET, "reset"),
        (errno.EPIPE, "reset"),
        (errno.ETIMEDOUT, "timed_out"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EPERM, "unreachable"),
        (errno.EADDRNOTAVAIL, "unreachable"),
        (errno.EMSGSIZE, "too_big"),
        (errno.EMFILE, "probe_error"),
        (errno.EINVAL, "probe_error"),
    ],
)
def test_errno_gives_its_outcome(number: int, outcome: str) -> None:
    answer = probes.outcome_of(OSError(number, os.strerror(number)))

    assert answer == {"outcome": outcome, "detail": os.strerror(number)} or outcome == "timed_out"
    assert answer["outcome"] == Outcome(outcome).value


def test_every_outcome_that_the_agent_names_is_known_to_the_harness() -> None:
    assert {*probes._OUTCOMES.values()} <= {outcome.value for outcome in Outcome}


def test_error_without_errno_is_an_error_of_the_probe() -> None:
    assert probes.outcome_of(OSError("odd")) == {"outcome": "probe_error", "detail": "odd"}
    assert probes.outcome_of(TimeoutError())["outcome"] == "timed_out"


def test_checksum_is_that_of_rfc_1071() -> None:
    assert probes._checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D
    assert probes._checksum(b"") == 0xFFFF


@given(st.binary(max_size=100))
def test_packet_with_its_checksum_sums_up_to_zero(data: bytes) -> None:
    even = data + b"\0" * (len(data) % 2)

    assert probes._checksum(even + struct.pack("!H", probes._checksum(data))) in (0, 0xFFFF)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", {"status": 200, "body": "hi"}),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", {"status": 404, "body": ""}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", {"status": 200, "body": "hi"}),
        (b"HTTP/1.0 200 OK\r\n\r\n[1]", {"status": 200, "body": "[1]"}),
        (b'HTTP/1.0 200 OK\r\n\r\n{"peer": 1}', {"status": 200, "body": '{"peer": 1}'}),
        (b"HTTP/1.0 200 OK\r\n\r\nna\xefve", {"status": 200, "body": "na\ufffdve"}),
        (
            b'HTTP/1.0 200 OK\r\n\r\n{"peer": "192.0.2.1", "name": "box"}',
            {"status": 200, "body": '{"peer": "192.0.2.1", "name": "box"}', "peer": "192.0.2.1", "name": "box"},
        ),
    ],
)
def test_http_answer_is_parsed(data: bytes, answer: Answer) -> None:
    assert probes._http_answer(data) == answer


@given(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"HTTP/1.1 200 OK\r\n" + rest))
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
@example(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
@example(b"SSH-2.0-OpenSSH_9.2\r\n")
def test_any_bytes_of_an_http_server_end_in_an_outcome(data: bytes) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(data)
        writer.close()

    answer = with_server(reply, {"kind": "http"})

    assert Outcome(answer["outcome"])
    assert json.dumps(answer)


@settings(deadline=None)
@given(
    st.binary(max_size=60)
    | st.dictionaries(st.sampled_from(["echo", "peer", "name"]), st.text(max_size=4) | st.integers() | st.none()).map(
        lambda said: json.dumps(said).encode()
    )
)
@example(b'{"echo": "nonce", "peer": ["192.0.2.1", 80], "name": 7}')
@example(b"[" * 100_000)
@example(b'{"echo": "' + b"x" * 5000 + b'", "peer": "", "name": ""}')
def test_any_bytes_of_a_service_are_an_answer_of_its_own_or_somebody_else_s(data: bytes) -> None:
    """Only who gives our nonce, and says in texts who it is and whom it saw, is a listener of ours."""
    answer = probes._heard(data, "nonce")

    assert Outcome(answer["outcome"])
    assert len(answer.get("detail", "")) < 200
    if "peer" in answer:
        assert json.loads(data) | {"echo": "nonce"} == json.loads(data)
        assert isinstance(answer["peer"], str)
        assert isinstance(answer["name"], str)
    elif answer["outcome"] == "connected":
        assert base64.b64decode(answer["reply"]) == data


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_service_that_never_stops_talking_is_heard_out_to_a_limit(kind: str) -> None:
    """What is always there to be read leaves no moment to look at the time."""
    head = b"HTTP/1.0 200 OK\r\n\r\n" if kind == "http" else b""

    def talk(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(head)
            while True:
                connection.sendall(bytes(1 << 16))

    with socket.create_server(("127.0.0.1", 0)) as server:
        talker = threading.Thread(target=talk, args=(server,), daemon=True)
        talker.start()
        (answer,) = probe({"kind": kind, "port": server.getsockname()[1], "timeout_s": 30.0})
        talker.join(10)

    assert answer["outcome"] == "connected"
    assert len(answer.get("reply", "") + answer.get("body", "")) < 2 << 20
    assert not talker.is_alive()
