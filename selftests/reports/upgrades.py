"""Small upgrades to compare and to make pages from: four records that have something of everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from netfacts.model.record import EndLine, EngineInfo, FactLine, Line, PortraitLine, RunLine, TimingLine, VerdictLine
from netfacts.model.verdict import Evidence, Expected, Measurement, Verdict
from reports import page
from reports.record import Record
from selftests.reports.conftest import END, RUN, fact_line, verdict_line

C, D, U, N = Verdict.CONFORMS, Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.NOT_EXERCISED
HOLDS, FAILS, ABSENT = Expected.HOLDS, Expected.FAILS, Expected.ABSENT

OLD = RUN.engine
NEW = EngineInfo(
    spec="debian:forky",
    version="28.5.2",
    api="1.51",
    firewall="iptables-nft",
    flags=["--ipv6"],
    components={"runc": "1.3.2", "containerd": "2.1.4"},
)
NOTES_28 = "https://docs.docker.com/engine/release-notes/28/#2800"
NOTES_27 = "raised in 27.0: https://docs.docker.com/engine/release-notes/27/"


def run_line(engine: EngineInfo, *, predecessor: EngineInfo | None = None, **fields: Any) -> RunLine:
    """A run's first line."""
    return msgspec.structs.replace(RUN, engine=engine, predecessor=predecessor, **fields)


def record(engine: EngineInfo, facts: list[FactLine], verdicts: list[VerdictLine], **fields: Any) -> Record:
    """A whole record."""
    run = run_line(engine, predecessor=fields.pop("predecessor", None), run_id=fields.pop("run_id", RUN.run_id))
    usual: dict[str, Any] = {"end": END}
    return Record(run=run, facts=tuple(facts), verdicts=tuple(verdicts), **(usual | fields))


def facts_of(engine: EngineInfo) -> list[FactLine]:
    """The catalogue, with what it expects of one of the two engines."""
    old = engine is OLD
    return [
        fact_line("dns.scope", claim="Names resolve on user-defined networks only."),
        fact_line("dns.outage", claim="A name of a stopped container is answered with NXDOMAIN."),
        fact_line("publish.basic", claim="`docker run -p` makes a port reachable from outside."),
        fact_line(
            "publish.direct-route",
            claim="An outside client with a route reaches a container's unpublished port.",
            expected=HOLDS if old else FAILS,
            expected_source="" if old else f"blocked in the raw table since 28.0: {NOTES_28}",
        ),
        fact_line(
            "publish.legacy-label",
            claim="A container keeps the MAC address that `--mac-address` gave it.",
            expected=HOLDS if old else FAILS,
            expected_source="" if old else NOTES_27,
        ),
        fact_line(
            "bridge.gateway-mode",
            claim="A network may be created with `gateway_mode_ipv4=isolated`.",
            expected=ABSENT if old else HOLDS,
            expected_source="" if old else NOTES_28,
        ),
        fact_line("bridge.icc", claim="Containers on one bridge reach each other."),
        fact_line("overlay.mtu", claim="An overlay's MTU is 1450 bytes.", needs=["vxlan"]),
        fact_line("overlay.encrypted", claim="An encrypted overlay carries ESP alone."),
        fact_line("proxy.one-each", claim="There is one docker-proxy for each published port and family."),
        fact_line("egress.masquerade", claim="What leaves is masqueraded behind the host's address."),
    ]


RULES = ["-N DOCKER", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER", "-A DOCKER -i BRIDGE0 -j RETURN"]


def portrait(scenario: str, *, nat: list[str], sysctls: list[str]) -> PortraitLine:
    """How an engine sets a machine up."""
    return PortraitLine(scenario=scenario, parts={"iptables nat": nat, "sysctls": sysctls, "links": ["BRIDGE0 up"]})


def before() -> Record:
    """A fresh 20.10.24."""
    return record(
        OLD,
        facts_of(OLD),
        [
            verdict_line("dns.scope", case="family=4"),
            verdict_line("dns.scope", case="family=6"),
            verdict_line("dns.outage"),
            verdict_line("publish.basic"),
            verdict_line("publish.direct-route"),
            verdict_line("publish.legacy-label"),
            verdict_line("bridge.gateway-mode", N, expected=ABSENT, reason="engine 20.10.24 does not have this"),
            verdict_line("bridge.icc", D, reason="tcp 172.17.0.3:80 (from a): expected connected, saw timed_out"),
            verdict_line("overlay.mtu", N, reason="vxlan is missing here: the module is not loaded"),
            verdict_line("overlay.encrypted"),
            verdict_line("proxy.one-each", D, reason="docker-proxy: expected 2, saw 1"),
            verdict_line("egress.masquerade"),
        ],
        run_id="20260301-021405-aaaa",
        portraits=(
            portrait("one published port", nat=[*RULES, "-A DOCKER -p tcp -j DNAT --to WEB:80"], sysctls=["a = 1"]),
            portrait("nothing but the engine", nat=RULES, sysctls=["net.ipv4.ip_forward = 1"]),
        ),
        timings=(
            TimingLine(operation="container started", took_s=[0.41, 0.39, 0.44]),
            TimingLine(operation="network created", took_s=[0.11, 0.12, 0.14]),
        ),
    )


def after() -> Record:
    """A fresh 28.5.2."""
    return record(
        NEW,
        facts_of(NEW),
        [
            verdict_line("dns.scope", case="family=4"),
            verdict_line(
                "dns.scope",
                D,
                case="family=6",
                reason="resolve b (from a): expected connected, saw resolver_failed",
                evidence=[Evidence(title="/etc/resolv.conf of a", text="nameserver 127.0.0.11")],
            ),
            verdict_line("dns.outage", U, reason="the resolver of the lab did not answer"),
            verdict_line("publish.basic"),
            verdict_line("publish.direct-route", expected=FAILS),
            verdict_line("publish.legacy-label", expected=FAILS),
            verdict_line("bridge.gateway-mode"),
            verdict_line("bridge.icc", D, reason="tcp 172.17.0.3:80 (from a): expected connected, saw refused"),
            verdict_line("overlay.mtu"),
            verdict_line("overlay.encrypted"),
            verdict_line("proxy.one-each"),
            verdict_line("egress.masquerade"),
        ],
        run_id="20260301-031405-bbbb",
        portraits=(
            portrait(
                "one published port",
                nat=[*RULES[:2], "-A DOCKER -p tcp -j DNAT --to WEB:80"],
                sysctls=["a = 1", "net.ipv4.conf.BRIDGE0.route_localnet = 1"],
            ),
            portrait("nothing but the engine", nat=RULES, sysctls=["net.ipv4.ip_forward = 1"]),
        ),
        timings=(
            TimingLine(operation="container started", took_s=[0.61, 0.59, 0.64]),
            TimingLine(operation="network created", took_s=[0.11, 0.13, 0.12]),
        ),
    )


def carried() -> Record:
    """28.5.2 in the place of 20.10.24."""
    return record(
        NEW,
        facts_of(NEW),
        [
            verdict_line("dns.scope", carried=True),
            verdict_line("dns.scope"),
            verdict_line(
                "publish.basic",
                carried=True,
                measured=[
                    Measurement(what="a flow from outside", value=1240.0, unit="ms", detail="one SYN was repeated"),
                    Measurement(what="a flow through docker-proxy", value=None, unit="ms", detail="reset by peer"),
                ],
            ),
            verdict_line("publish.basic"),
            verdict_line("publish.direct-route", carried=True, expected=FAILS),
            verdict_line("publish.direct-route", expected=FAILS),
            verdict_line("publish.legacy-label", carried=True),
            verdict_line("publish.legacy-label", expected=FAILS),
            verdict_line("overlay.encrypted", N, carried=True, reason="its lab can not be carried over"),
            verdict_line(
                "egress.masquerade",
                D,
                carried=True,
                reason="source address of tcp 198.51.100.9:80: expected 198.51.100.2, saw 172.18.0.2",
                evidence=[Evidence(title="iptables-save -t nat", text="-P POSTROUTING ACCEPT")],
            ),
            verdict_line("egress.masquerade"),
        ],
        predecessor=OLD,
        run_id="20260301-041405-cccc",
        timings=(TimingLine(operation="the engine ready again", took_s=[3.2]),),
    )


def back() -> Record:
    """20.10.24 in the place of 28.5.2."""
    return record(
        OLD,
        facts_of(OLD),
        [
            verdict_line("dns.scope", carried=True),
            verdict_line("dns.scope"),
            verdict_line(
                "publish.basic", D, carried=True, reason="tcp 198.51.100.2:8080: expected connected, saw refused"
            ),
            verdict_line("publish.basic"),
        ],
        predecessor=NEW,
        run_id="20260301-051405-dddd",
    )


def small_upgrade() -> dict[str, Record]:
    """All four."""
    return {"before": before(), "after": after(), "carried": carried(), "back": back()}


def lines_of(one: Record) -> list[Line]:
    """A record's lines in the order that a run writes them."""
    end: list[EndLine] = [one.end] if one.end else []
    return [one.run, *one.labs, *one.facts, *one.portraits, *one.timings, *one.verdicts, *one.sabotages, *end]


def put(one: Record, folder: Path, *, with_page: bool = True) -> Path:
    """Write a record and its page as a run folder."""
    folder.mkdir(parents=True)
    path = folder / "record.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines_of(one)))
    if with_page:
        page.write(folder)
    return folder
