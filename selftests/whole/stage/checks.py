"""Checks whose end a selftest decides; copied into the suites of a checkout of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixtures.claim import Act, Claim
from netfacts.lab.wait import until
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import seen

STAGE = Path(os.environ["STAGE"])


def foretold(fact: str) -> Outcome:
    """What a check is to see; another outcome than there will be where a test wants it to deviate."""
    return Outcome.REFUSED if os.environ.get("STAGE_DEVIATES") == fact else Outcome.CONNECTED


@pytest.mark.fact("stage.first")
def test_first_ends_at_once(host: Host, act: Act, claim: Claim) -> None:
    """The first check ends at once."""
    box = host.container("box")

    with act:
        answers = ask(icmp(host.vantage, box.address))

    claim.judge(*(seen(answer, foretold("stage.first")) for answer in answers))


@pytest.mark.fact("stage.waits")
def test_second_waits(host: Host, act: Act, claim: Claim) -> None:
    """The second check waits until it is told to go on, with what it looks at built before or, on demand, after."""
    late = os.environ.get("STAGE_BUILDS") == "late"
    box = host.container("early" if late else "box")
    (STAGE / "part").write_text(str(os.getpid()))
    (STAGE / "part").replace(STAGE / "waiting")

    with act:
        until((STAGE / "go").exists, what="a word", timeout_s=120)
        if late:
            box = host.container("box")
        answers = ask(icmp(host.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))


@pytest.mark.fact("stage.last")
def test_last_ends_at_once(host: Host, act: Act, claim: Claim) -> None:
    """The last check ends at once, in a lab that is whole."""
    box = host.container("box")

    with act:
        answers = ask(icmp(host.vantage, box.address))

    claim.judge(*(seen(answer, foretold("stage.last")) for answer in answers))
