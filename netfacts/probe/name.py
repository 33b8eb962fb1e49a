"""Names: resolved as an application in a container does it, and asked of a DNS server on the wire."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.probe.ask import TIMEOUT_S, Probe, ask_one

# glibc asks again after 5 s and then gives up: that is a failure of the resolver, and the claim's business to judge.
_RESOLVE_S = 12.0
# Of a message that is no answer, as much as says what it is.
_SHOWN = 400


@dataclass(frozen=True)
class Resolution:
    """What getaddrinfo made of a name. `outcome` is `connected` where it found addresses."""

    vantage: Vantage
    name: str
    outcome: Outcome
    addresses: tuple[str, ...]
    latency_ms: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class DnsAnswer:
    """What a DNS server said. `outcome` is of the exchange; `rcode` is DNS's own ("NOERROR", "NXDOMAIN", …)."""

    outcome: Outcome
    rcode: str
    records: tuple[str, ...]
    ttl_s: int | None
    latency_ms: float


def resolve(vantage: Vantage, *names: str, family: int = 4, timeout_s: float = _RESOLVE_S) -> list[Resolution]:
    """Resolve names with glibc and the vantage's own /etc/hosts, resolv.conf and nsswitch.conf.

    Raises: ProbeError where the vantage is gone, or a name can't be asked for.
    """
    (found,) = look_up((vantage, names), family=family, timeout_s=timeout_s)
    return found


def look_up(
    *asked: tuple[Vantage, Sequence[str]], family: int = 4, timeout_s: float = _RESOLVE_S, at_once: int = 1
) -> list[list[Resolution]]:
    """Resolve names as `resolve` does, in several vantages at the same time; what is found is in their order.

    `at_once` of each vantage's names are asked for at the same time, its first names first.

    Raises: as `resolve`.
    """
    pending = [
        vantage.machine.agent.submit(
            "resolve",
            net=vantage.net,
            mnt=vantage.mnt,
            names=[[name, family] for name in names],
            timeout_s=timeout_s,
            at_once=at_once,
        )
        for vantage, names in asked
    ]
    return [
        _found(vantage, names, vantage.machine.agent.settle(reply, "resolve", timeout_s=timeout_s))
        for (vantage, names), reply in zip(asked, pending, strict=True)
    ]


def _found(vantage: Vantage, names: Sequence[str], said: list[dict[str, Any]]) -> list[Resolution]:
    found = [
        Resolution(
            vantage,
            name,
            Outcome(entry["outcome"]),
            tuple(entry["addresses"]),
            entry.get("latency_ms", 0.0),
            entry.get("detail", ""),
        )
        for name, entry in zip(names, said, strict=True)
    ]
    for one in found:
        if one.outcome is Outcome.PROBE_ERROR:
            raise ProbeError(f"{one.name!r} could not be resolved", where=str(vantage), returned=one.detail)
    return found


def query(
    vantage: Vantage, server: str, name: str, kind: str = "A", *, over: str = "udp", timeout_s: float = TIMEOUT_S
) -> DnsAnswer:
    """Ask a DNS server one question.

    Raises: ProbeError where the reply is no DNS message, or none to this question.
    """
    question = dns.message.make_query(name, kind)
    payload = base64.b64encode(question.to_wire()).decode()
    probe = Probe(vantage, "exchange", server, 53, timeout_s, {"payload": payload, "over": over})
    answer = ask_one(probe)
    if answer.outcome is not Outcome.CONNECTED:
        return DnsAnswer(answer.outcome, "", (), None, answer.latency_ms)
    try:
        message = dns.message.from_wire(base64.b64decode(answer.reply))
    except (dns.exception.DNSException, ValueError) as error:
        raise ProbeError(f"{server} sent no DNS message", where=str(vantage), returned=repr(error)) from None
    if not question.is_response(message):
        sent = message.to_text()[:_SHOWN]
        raise ProbeError(f"{server} sent no answer to the question for {name}", where=str(vantage), returned=sent)
    records = tuple(item.to_text() for rrset in message.answer for item in rrset)
    ttl_s = message.answer[0].ttl if message.answer else None
    return DnsAnswer(answer.outcome, dns.rcode.to_text(message.rcode()), records, ttl_s, answer.latency_ms)
