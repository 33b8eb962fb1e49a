"""Small records to make pages from, built from the record's own structs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netfacts.model.fact import Accuracy
from netfacts.model.lab import SHAPES
from netfacts.model.record import (
    EndLine,
    EngineInfo,
    FactLine,
    LabLine,
    MachineLine,
    PortLine,
    RunLine,
    SabotageLine,
    VerdictLine,
)
from netfacts.model.rounds import Rounds
from netfacts.model.verdict import (
    Evidence,
    Expected,
    Measurement,
    Observation,
    Scene,
    SceneContainer,
    SceneNetwork,
    Verdict,
)
from reports.record import Record

RUN = RunLine(
    run_id="20260301-021405-4f2a",
    netfacts="0.1.0",
    engine=EngineInfo(
        spec="debian:bookworm",
        version="20.10.24",
        api="1.41",
        firewall="iptables-nft",
        flags=["--ipv6"],
        components={"runc": "1.1.5", "containerd": "1.6.20"},
    ),
    target="embedded",
    kernel="6.1.0-18-amd64",
    machine="Debian GNU/Linux 12",
    started_at="2026-03-01T02:14:05+00:00",
    catalogue={"facts": 5},
    missing={"br_netfilter": "the module is not loaded: `modprobe br_netfilter`"},
)
END = EndLine(
    facts={"total": 4, "exercised": 3, "conforms": 2, "deviates": 1, "inconclusive": 0, "not_exercised": 1},
    duration_s=192.4,
    labs=2,
    engines=2,
    containers=9,
    networks=4,
    probes=61,
    slowest=[("dns.not-default-bridge", 2.5)],
)


def lab_line(shape: str) -> LabLine:
    """A lab's line, as a run would write it for a declared shape."""
    spec = SHAPES[shape]
    roles = {"engine": "engine", "router": "router", "resolver": "resolver"}
    return LabLine(
        shape=shape,
        segments={segment.name: str(segment.ipv4) for segment in spec.segments},
        machines=[
            MachineLine(
                name=machine.name,
                role=next((role for field, role in roles.items() if getattr(machine, field)), "client"),
                ports=[
                    PortLine(
                        name=f"eth{number}",
                        segment=port.segment,
                        addresses=[str(one) for one in spec.interfaces(port)],
                    )
                    for number, port in enumerate(machine.ports)
                ],
            )
            for machine in spec.machines
        ],
    )


def fact_line(fact: str, **fields: Any) -> FactLine:
    """A fact's line; `fields` replace what is usual."""
    usual: dict[str, Any] = {
        "area": fact.partition(".")[0],
        "claim": f"The claim of {fact}.",
        "note": "",
        "accuracy": Accuracy.TRUE,
        "sources": ["notes/000_a12b0eacb0ccef81.txt:62", "https://docs.docker.com/engine/network/"],
        "show": ["docker run -d --name a busybox sleep 1d", "docker run --rm busybox nslookup a"],
        "lab": "one-host",
        "needs": [],
        "expected": Expected.HOLDS,
    }
    return FactLine(fact=fact, **(usual | fields))


def verdict_line(fact: str, verdict: Verdict = Verdict.CONFORMS, **fields: Any) -> VerdictLine:
    """A verdict's line; `fields` replace what is usual."""
    usual: dict[str, Any] = {"expected": Expected.HOLDS, "duration_s": 0.41, "worker": "gw0", "at": "2026-03-01T02:15Z"}
    return VerdictLine(fact=fact, verdict=verdict, **(usual | fields))


BRIDGE = SceneNetwork(name="bridge", driver="bridge", machine="host", subnet="172.17.0.0/16", bridge="docker0")
SCENE = Scene(
    networks=[BRIDGE],
    containers=[
        SceneContainer(
            name="web", machine="host", mode="bridge", networks={"bridge": "172.17.0.2"}, ports=["0.0.0.0:80->80/tcp"]
        ),
        SceneContainer(name="spy", machine="host", mode="container:web"),
        SceneContainer(name="metrics", machine="host", mode="host", networks={"host": ""}),
        SceneContainer(name="sealed", machine="host", mode="none"),
    ],
)


MEASURED = [
    Measurement(what="gap of the flow", value=1240.0, unit="ms", detail="one SYN was repeated"),
    Measurement(
        what="round trip, host : bridge",
        value=0.78,
        unit="×",
        detail="host 8.5 µs, bridge 10.8 µs; half of 8 rounds within 0.77–0.80",
        rounds=Rounds(
            unit="µs",
            series={
                "host": [8.4, 8.5, 8.5, 8.6, 8.3, 8.7, 9.1, 8.4],
                "bridge": [10.8, 10.9, 10.7, 10.8, 11.0, 47.9, 10.6, 10.8],
            },
        ),
    ),
]


def full_record() -> Record:
    """A record with something of everything."""
    return Record(
        run=RUN,
        labs=(lab_line("one-host"), lab_line("routed")),
        facts=(
            fact_line("dns.not-default-bridge", note="Unless `--link` is used.", accuracy=Accuracy.IMPRECISE),
            fact_line("publish.hairpin", needs=["br_netfilter"], expected=Expected.FAILS),
            fact_line("publish.any-address", lab="routed"),
            fact_line(
                "bridge.gateway-mode",
                expected=Expected.ABSENT,
                expected_source="new in 27.0: https://docs.docker.com/engine/release-notes/27/",
            ),
            fact_line("swarm.ingress", selected=False),
        ),
        verdicts=(
            verdict_line("dns.not-default-bridge", case="family=4", scene=SCENE),
            verdict_line(
                "dns.not-default-bridge",
                Verdict.DEVIATES,
                case="family=6",
                reason="a was resolved",
                observed=[
                    Observation(what="A a.", vantage="b", expected="name_not_found", observed="fd00::2", agrees=False),
                    Observation(
                        what="A a.",
                        vantage="c",
                        expected="fd00::2",
                        observed="fd00::2",
                        agrees=True,
                        control=True,
                        latency_ms=0.42,
                    ),
                ],
                evidence=[
                    Evidence(title="/etc/resolv.conf of b", text="nameserver 198.51.100.53\n"),
                    Evidence(title="iptables-save (host)", text="\n".join(f"-A RULE-{n}" for n in range(40))),
                ],
                scene=SCENE,
            ),
            verdict_line(
                "publish.hairpin", Verdict.NOT_EXERCISED, reason="needs br_netfilter", expected=Expected.FAILS
            ),
            verdict_line("publish.any-address", scene=SCENE, measured=MEASURED),
            verdict_line(
                "bridge.gateway-mode",
                expected=Expected.ABSENT,
                observed=[Observation(what="create", expected="created", observed="unknown option", agrees=False)],
            ),
        ),
        end=END,
    )


def interrupted_record() -> Record:
    """A record whose run was killed before its last fact."""
    full = full_record()
    return msgspec.structs.replace(full, verdicts=full.verdicts[3:4], end=None)


def sabotage_record() -> Record:
    """A record of sabotages alone, one of which survived."""
    return msgspec.structs.replace(
        full_record(),
        verdicts=(),
        sabotages=(
            SabotageLine(
                fact="publish.any-address",
                sabotage="delete the DNAT rule",
                turned="deviates",
                killed=True,
                duration_s=0.8,
            ),
            SabotageLine(
                fact="dns.not-default-bridge",
                sabotage="put a into /etc/hosts",
                case="family=4",
                turned="conforms",
                killed=False,
                reason="b asked another server",
                duration_s=0.3,
            ),
        ),
    )


@pytest.fixture(scope="session")
def make() -> type:
    """The builders of this module, for checks that need a record of their own. Scope: session; it holds no state."""

    class Make:
        fact = staticmethod(fact_line)
        verdict = staticmethod(verdict_line)
        lab = staticmethod(lab_line)
        full = staticmethod(full_record)
        run = RUN
        end = END
        scene = SCENE

    return Make


@pytest.fixture(params=[full_record, interrupted_record, sabotage_record], ids=["full", "interrupted", "sabotage"])
def sample(request: pytest.FixtureRequest) -> tuple[str, Record]:
    """Each of the small records with its name."""
    builder: Callable[[], Record] = request.param
    return builder.__name__.removesuffix("_record"), builder()


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Record], Path]:
    """Writes a record to a run folder, line by line, and gives the file."""

    def write(record: Record) -> Path:
        end = [record.end] if record.end else []
        lines = [record.run, *record.labs, *record.facts, *record.verdicts, *record.sabotages, *end]
        path = tmp_path / "record.jsonl"
        path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
        return path

    return write
