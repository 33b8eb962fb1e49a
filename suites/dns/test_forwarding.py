"""Names that the engine does not know itself: whom it asks, from where, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.model.verdict import Observation
from netfacts.observe import Capture, Packet, capture
from netfacts.probe import DnsAnswer, query, serve_names
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds, wire

# The engine's own server, as every container of a user-defined network sees it.
_ENGINE = "127.0.0.11"
# A name that the lab's own DNS server knows.
_KNOWN = "resolver.lab"
# A name that servers of a check know, its address, and one that no server knows.
_OUTSIDE, _ADDRESS = "outside.lab", "203.0.113.80"
_NOWHERE = "nowhere.lab"
# Google's. In a lab nobody has this address, and no route leads out of it.
_GOOGLE = "8.8.8.8"
_LOOPBACK = "127.0.0.1"
# The engine asks at once, or says at once that it has nobody to ask; it waits longer for an answer that can't come.
_ASKED_S = 1.0


@pytest.mark.fact("dns.nxdomain")
@pytest.mark.shared
def test_nxdomain_is_handed_on(host: Host, act: Act, claim: Claim) -> None:
    """Where the DNS server that the engine asks says NXDOMAIN, the container is told NXDOMAIN.

    box ── net ── server (--dns)
    """
    net = host.network("net")
    server = host.container("server", network=net)
    serve_names(server.vantage, {_OUTSIDE: _ADDRESS}, authoritative=False)
    box = host.container("box", network=net, dns=[server.address])
    claim.control(
        _control(f"{_OUTSIDE}, asked of the engine", query(box.vantage, _ENGINE, _OUTSIDE), "NOERROR"),
        _control(f"{_NOWHERE}, asked of the server", query(box.vantage, server.address, _NOWHERE), "NXDOMAIN"),
    )

    with act:
        answer = query(box.vantage, _ENGINE, _NOWHERE)
        claim.show(f"{_ENGINE}, asked for {_NOWHERE}", _said(answer))

    claim.judge(wire(f"{_NOWHERE}, asked of the engine", answer, rcode="NXDOMAIN", records=()))


@strike("dns.nxdomain", "a server that says SERVFAIL stands where the engine's was")
def _(stage: Stage) -> None:
    _replace_server(stage.container("box"))


@strike("dns.nxdomain", "the server that the engine asks is stopped")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("server"))


@pytest.mark.fact("dns.forward-ns")
def test_host_nameservers_are_asked_from_the_host(host: Host, act: Act, claim: Claim) -> None:
    """The questions of containers to the host's nameservers do not cross the bridge of their network.

    box ── net ── host ── resolver
    """
    net = host.network("net")
    box = host.container("box", network=net)

    with act, capture(host.vantage, net.bridge) as bridge:
        answer = query(box.vantage, _ENGINE, _KNOWN)

    claim.control(_control(f"{_KNOWN}, asked of the engine", answer, "NOERROR"))
    crossing = _questions(bridge)
    claim.show(f"tcpdump -i {net.bridge} port 53", bridge.text(crossing))
    claim.judge(equal("questions on the bridge", _ways(crossing), set(), vantage=host.vantage))


@tamper("dns.forward-ns", "the host's nameserver is given by --dns", engines=">=28")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"dns": ["198.51.100.53"]}


@strike("dns.forward-ns", "the host's nameserver is on a loopback address", engines="<28")
def _(stage: Stage) -> None:
    stage.host.nameservers(_LOOPBACK, names={_KNOWN: _ADDRESS})
    stage.host.stop(stage.container("box"))
    stage.host.start(stage.container("box"))


@pytest.mark.fact("dns.failover")
def test_second_server_is_asked_after_nxdomain(host: Host, act: Act, claim: Claim) -> None:
    """Where the first of two DNS servers says NXDOMAIN without authority, the engine asks the second.

    box ── net ─┬─ first: NXDOMAIN
                └─ second: knows the name
    """
    net = host.network("net")
    first, second = host.container("first", network=net), host.container("second", network=net)
    serve_names(first.vantage, {}, authoritative=False)
    serve_names(second.vantage, {_OUTSIDE: _ADDRESS}, authoritative=False)
    box = host.container("box", network=net, dns=[first.address, second.address])
    claim.control(
        _control("the first server's answer", query(box.vantage, first.address, _OUTSIDE), "NXDOMAIN"),
        _control("the second server's answer", query(box.vantage, second.address, _OUTSIDE), "NOERROR"),
    )

    with act, capture(host.vantage, net.bridge) as bridge:
        answer = query(box.vantage, _ENGINE, _OUTSIDE)

    claim.show(f"tcpdump -i {net.bridge} port 53", bridge.text(_questions(bridge)))
    claim.judge(wire(f"{_OUTSIDE}, asked of the engine", answer, rcode="NOERROR", records=(_ADDRESS,)))


@tamper("dns.failover", "the engine ignores all --dns but the first", engines="<24.0.1")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"dns": request.get("dns", [])[:1]}


@tamper("dns.failover", "the engine asks the last --dns first", engines=">=24.0.1")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"dns": request.get("dns", [])[::-1]}


@pytest.mark.fact("dns.internal-no-forward")
def test_internal_network_gets_no_answer_from_outside(host: Host, act: Act, claim: Claim) -> None:
    """A container that is only on an --internal network gets no answer for names of the outside.

    box ── inner (internal)     other ── net ── host, with a DNS server at 127.0.0.1
    """
    host.nameservers(_LOOPBACK, names={_OUTSIDE: _ADDRESS})
    inner, net = host.network("inner", internal=True), host.network("net")
    box, other = host.container("box", network=inner), host.container("other", network=net)
    claim.control(
        _control("answer on a network that is not internal", query(other.vantage, _ENGINE, _OUTSIDE), "NOERROR"),
        _control("name on the internal network", query(box.vantage, _ENGINE, box.name), "NOERROR"),
    )

    with act:
        answer = query(box.vantage, _ENGINE, _OUTSIDE)
        claim.show(f"{_ENGINE}, asked for {_OUTSIDE}", _said(answer))

    claim.judge(holds(f"addresses of {_OUTSIDE}", not answer.records, _said(answer), expected="none", vantage=box.name))


@tamper("dns.internal-no-forward", "the engine ignores --internal", engines=">=23.0.11,!=24.*")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"internal": False}


@strike("dns.internal-no-forward", "the container is connected to a network that is not internal", engines=">=25.0.5")
def _(stage: Stage) -> None:
    stage.host.connect(stage.network("net"), stage.container("box"))


@strike("dns.internal-no-forward", "the host's nameserver falls silent", engines="<23.0.11")
@strike("dns.internal-no-forward", "the host's nameserver falls silent", engines=">=24,<25.0.5")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -i lo -p udp --dport 53 -j DROP")


@pytest.mark.fact("dns.no-upstream")
def test_host_without_nameservers_means_google(host: Host, act: Act, claim: Claim) -> None:
    """On a host without nameservers, what containers of user-defined networks ask goes to 8.8.8.8.

    box ── net ── host, which has no route out of the lab
    """
    host.nameservers()
    net = host.network("net")
    box = host.container("box", network=net)
    claim.control(_control("the container's own name", query(box.vantage, _ENGINE, box.name), "NOERROR"))

    with act, capture(host.vantage, net.bridge) as bridge:
        answer = query(box.vantage, _ENGINE, _OUTSIDE, timeout_s=_ASKED_S)

    asked = {packet.destination for packet in _questions(bridge)}
    claim.show(f"tcpdump -i {net.bridge} port 53", bridge.text(_questions(bridge)))
    claim.show(f"{_ENGINE}, asked for {_OUTSIDE}", _said(answer))
    claim.judge(holds("servers that are asked", _GOOGLE in asked, asked, expected=_GOOGLE, vantage=host.vantage))


flags("dns.no-upstream", "--dns=198.51.100.53", engines="<28")


@tamper("dns.no-upstream", "the container is started with --dns 8.8.8.8", engines=">=28")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"dns": [_GOOGLE]}


@pytest.mark.fact("dns.internal-server")
def test_dns_server_within_internal_network_is_asked(host: Host, act: Act, claim: Claim) -> None:
    """A container on an --internal network gets its answers from a DNS server there that is given by --dns.

    box ── inner (internal) ── server (--dns)
    """
    inner = host.network("inner", internal=True)
    server = host.container("server", network=inner)
    serve_names(server.vantage, {_OUTSIDE: _ADDRESS})
    box = host.container("box", network=inner, dns=[server.address])
    claim.control(_control("the server's own answer", query(box.vantage, server.address, _OUTSIDE), "NOERROR"))

    with act:
        answer = query(box.vantage, _ENGINE, _OUTSIDE)
        claim.show(f"{_ENGINE}, asked for {_OUTSIDE}", _said(answer))

    claim.judge(wire(f"{_OUTSIDE}, asked of the engine", answer, rcode="NOERROR", records=(_ADDRESS,)))


@tamper("dns.internal-server", "the engine ignores --dns")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"dns": []}


@strike("dns.internal-server", "a server that says SERVFAIL stands where the engine's was")
def _(stage: Stage) -> None:
    _replace_server(stage.container("box"))


def _control(what: str, answer: DnsAnswer, rcode: str) -> Observation:
    return equal(what, answer.rcode or answer.outcome.value, rcode, control=True)


def _said(answer: DnsAnswer) -> str:
    return f"{answer.outcome} {answer.rcode} {' '.join(answer.records)}".strip()


def _questions(crossed: Capture) -> list[Packet]:
    return [packet for packet in crossed.packets if packet.destination_port == 53]


def _ways(packets: list[Packet]) -> set[str]:
    return {f"{packet.source} > {packet.destination}" for packet in packets}


def _replace_server(container: Container) -> None:
    """Have a server that knows nothing and says SERVFAIL answer in the place of the engine's."""
    container.engine.run("iptables -t nat -F", net=container.vantage.net)
    serve_names(container.vantage, {}, address=_ENGINE, unknown="SERVFAIL")
