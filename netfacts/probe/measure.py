"""Measures paths in turns: round trips and throughput of all of them in each round, so that noise hits them alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.model.rounds import FEWEST, Rounds
from netfacts.model.verdict import Outcome
from netfacts.probe.ask import TIMEOUT_S, Answer, Probe
from netfacts.probe.listener import Listener

_ROUNDS = 16
_WINDOW_S = 0.015
# After so long no further round is begun, unless there are too few to say anything.
_BUDGET_S = 1.5
_BITS_PER_GBIT, _US_PER_S = 1e9, 1e6


@dataclass(frozen=True)
class Path:
    """A way from a vantage to a source of loads, by the label that it has on the page."""

    label: str
    vantage: Vantage
    address: str
    port: int


@dataclass(frozen=True)
class Measured:
    """What became of loads: the last answer of each path, and the values of all rounds that all paths ended."""

    answers: tuple[Answer, ...]
    round_trip: Rounds
    throughput: Rounds


def serve_loads(vantage: Vantage, port: int = 0, *, address: str = "0.0.0.0", urgent: bool = False) -> Listener:
    """Open a source of loads in a vantage. Port 0 takes any free one. `urgent` as in `measure`.

    Raises: Refusal (a ProbeError) with the kernel's errno, EADDRINUSE among others.
    """
    return Listener(vantage, "load", address, port, vantage.label, {"urgent": urgent})


def measure(*paths: Path, rounds: int = _ROUNDS, window_s: float = _WINDOW_S, urgent: bool = False) -> Measured:
    """Put loads to the sources at the ends of these paths, one at a time, every other round in the opposite order.

    Each load looks for `window_s` at round trips, and for as long at throughput. With `urgent` all other processes of
    the machine wait for its ends meanwhile: on somebody's machine they must not have to. A path that does not carry a
    load ends it all: its answer says how; one with less than some 15 Mbit/s times out.

    Raises: ProbeError where a vantage is gone; LabError where a machine is lost.
    """
    answers: dict[str, Answer] = {}
    round_trip: dict[str, list[float]] = {path.label: [] for path in paths}
    throughput: dict[str, list[float]] = {path.label: [] for path in paths}
    until = time.monotonic() + _BUDGET_S
    for number in range(rounds):
        if number >= FEWEST and time.monotonic() > until:
            break
        said = {path.label: _load(path, window_s, urgent=urgent) for path in (paths if number % 2 else reversed(paths))}
        answers |= {label: answer for label, (answer, _) in said.items()}
        if any(answer.outcome is not Outcome.CONNECTED for answer in answers.values()):
            break
        for label, (_, figures) in said.items():
            round_trip[label].append(round(figures["exchange_s"] * _US_PER_S, 2))
            throughput[label].append(round(figures["slice_bytes"] * 8 / figures["slice_s"] / _BITS_PER_GBIT, 6))
    return Measured(
        tuple(answers[path.label] for path in paths),
        Rounds(unit="µs", series=round_trip),
        Rounds(unit="Gbit/s", series=throughput),
    )


def _load(path: Path, window_s: float, *, urgent: bool) -> tuple[Answer, dict[str, Any]]:
    vantage = path.vantage
    began = time.perf_counter()
    said: dict[str, Any] = vantage.machine.agent.call(
        "load",
        net=vantage.net,
        address=path.address,
        port=path.port,
        window_s=window_s,
        timeout_s=TIMEOUT_S,
        urgent=urgent,
    )
    probe = Probe(vantage, "load on", path.address, path.port)
    answer = Answer(
        probe=probe,
        outcome=Outcome(said["outcome"]),
        latency_ms=round(said.get("exchange_s", time.perf_counter() - began) * 1000, 3),
        detail=said.get("detail", ""),
    )
    if answer.outcome is Outcome.PROBE_ERROR:
        raise ProbeError(f"the {probe} could not be put", where=str(vantage), returned=answer.detail)
    return answer, said
