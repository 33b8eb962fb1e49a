"""Whatever a DNS server sends: an answer to what was asked, or an error of the probe that names the server."""

from __future__ import annotations

import base64
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netfacts.lab import Machine, Vantage
from netfacts.lab.agent import Agent
from netfacts.model.errors import ProbeError
from netfacts.probe import query
from netfacts.probe.name import DnsAnswer

_SERVER = "198.51.100.53"
_HEADER = 12


@dataclass
class Server:
    """An agent that has whatever is asked answered by a function of the question's bytes."""

    answer: Callable[[bytes], bytes]

    def submit(self, op: str, *, net: str, probes: list[dict[str, Any]], at_once: int) -> Future[Any]:
        """Answer at once."""
        (probe,) = probes
        reply: Future[Any] = Future()
        said = self.answer(base64.b64decode(probe["payload"]))
        reply.set_result([{"outcome": "connected", "reply": base64.b64encode(said).decode(), "latency_ms": 0.1}])
        return reply

    settle = staticmethod(lambda reply, op, *, timeout_s: reply.result())


@dataclass
class _Client:
    agent: Agent


def asked(answer: Callable[[bytes], bytes], kind: str = "A") -> DnsAnswer:
    """Ask such a server for host.lab."""
    client = cast("Machine", _Client(cast("Agent", Server(answer))))
    return query(Vantage(client, "client"), _SERVER, "host.lab", kind)


def response(*records: str, **changes: Any) -> Callable[[bytes], bytes]:
    """A server's answer with these records, and what else is to be otherwise in it."""

    def answer(question: bytes) -> bytes:
        message = dns.message.make_response(dns.message.from_wire(question))
        message.answer += [dns.rrset.from_text(*record.split(" ", 4)) for record in records]
        for name, value in changes.items():
            setattr(message, name, value)
        return message.to_wire()

    return answer


def test_loop_of_aliases_is_told_as_it_came() -> None:
    found = asked(response("host.lab. 60 IN CNAME other.lab.", "other.lab. 60 IN CNAME host.lab."))

    assert (found.rcode, found.records, found.ttl_s) == ("NOERROR", ("other.lab.", "host.lab."), 60)


def test_answer_of_many_records_is_told_whole() -> None:
    addresses = [f"2001:db8::{number:x}" for number in range(1, 1500)]

    found = asked(response(*(f"host.lab. 60 IN AAAA {address}" for address in addresses)), "AAAA")

    assert list(found.records) == addresses


@pytest.mark.parametrize(
    "answer",
    [
        response("host.lab. 60 IN A 192.0.2.1", id=0),
        response("host.lab. 60 IN A 192.0.2.1", flags=0),
        response("host.lab. 60 IN A 192.0.2.1", question=dns.message.make_query("other.lab", "A").question),
        response("host.lab. 60 IN A 192.0.2.1", question=dns.message.make_query("host.lab", "AAAA").question),
        lambda question: question,
    ],
    ids=["id", "no response", "other name", "other type", "echo"],
)
def test_answer_to_another_question_is_no_answer(answer: Callable[[bytes], bytes]) -> None:
    """Bytes that somebody else's question would be answered by say nothing about ours."""
    with pytest.raises(ProbeError, match=f"{_SERVER} sent no answer to the question for host.lab"):
        asked(lambda question: answer(b"\x12\x34" + question[2:]))


@pytest.mark.parametrize("code", [dns.rcode.REFUSED, dns.rcode.SERVFAIL, dns.rcode.NOTIMP])
def test_refusal_without_the_question_is_an_answer(code: dns.rcode.Rcode) -> None:
    """So do servers that have not even read it."""

    def refuse(question: bytes) -> bytes:
        message = dns.message.Message(id=int.from_bytes(question[:2]))
        message.flags = dns.flags.QR
        message.set_rcode(code)
        return message.to_wire()

    assert asked(refuse).rcode == dns.rcode.to_text(code)


@pytest.mark.parametrize("cut", range(0, 48, 3))
def test_answer_that_is_cut_short_is_an_error_of_the_probe(cut: int) -> None:
    whole = response("host.lab. 60 IN CNAME other.lab.")

    with pytest.raises(ProbeError, match=f"{_SERVER} sent no"):
        asked(lambda question: whole(question)[:cut])


def _is_answer_or_error(answer: Callable[[bytes], bytes]) -> None:
    try:
        found = asked(answer)
    except ProbeError as error:
        words = str(error)
    else:
        assert all(isinstance(record, str) for record in found.records)
        assert found.rcode
        words = f"{_SERVER}\n"
    assert words.startswith(_SERVER)
    assert len(words) < 1000


@settings(deadline=None)
@given(st.binary(max_size=80))
@example(b"\xc0\x0c" * 40)
def test_any_bytes_behind_our_own_number_are_an_answer_or_an_error(data: bytes) -> None:
    _is_answer_or_error(lambda question: question[:2] + data)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(2, 200), st.sampled_from([0, 1, 5, 41, 0x80, 0xC0, 0xFF]) | st.integers(0, 255))),
    st.integers(0, 300),
)
# A name that is a pointer to itself, and two that point to each other.
@example([(_HEADER, 0xC0), (_HEADER + 1, _HEADER)], 300)
@example([(_HEADER, 0xC0), (_HEADER + 1, _HEADER + 2), (_HEADER + 2, 0xC0), (_HEADER + 3, _HEADER)], 300)
def test_any_damage_to_an_answer_is_an_answer_or_an_error(changes: list[tuple[int, int]], length: int) -> None:
    whole = response("host.lab. 60 IN CNAME other.lab.", "other.lab. 60 IN MX 10 mail.lab.", 'lab. 1 IN TXT "a\\"b"')

    def damaged(question: bytes) -> bytes:
        data = bytearray(whole(question))
        for place, value in changes:
            if place < len(data):
                data[place] = value
        return bytes(data[:length])

    _is_answer_or_error(damaged)
