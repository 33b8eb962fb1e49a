"""Checks that lay a fabric, and whose end a selftest decides; copied into the suites of a checkout of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fixtures.claim import Act, Claim
from fixtures.fabric import Weaver
from netfacts.lab.wait import until
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import seen

STAGE = Path(os.environ["STAGE"])


@pytest.mark.fact("fabric.first")
def test_first_ends_at_once(host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim) -> None:
    """A container of the first host answers one of the second."""
    weave("host-gw")
    box, other = host.container("box"), host2.container("other")

    with act:
        answers = ask(icmp(other.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))


@pytest.mark.fact("fabric.waits")
def test_second_waits(host3: Host, weave: Weaver, act: Act, claim: Claim) -> None:
    """A container of the third host answers it, when the check is told to go on."""
    weave("host-gw")
    box = host3.container("box")
    (STAGE / "part").write_text(str(os.getpid()))
    (STAGE / "part").replace(STAGE / "waiting")

    with act:
        until((STAGE / "go").exists, what="a word", timeout_s=120)
        answers = ask(icmp(host3.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))


@pytest.mark.fact("fabric.last")
def test_last_ends_at_once(host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim) -> None:
    """A container of the second host answers one of the first, in a lab that is whole."""
    weave("host-gw")
    box, other = host2.container("box"), host.container("other")

    with act:
        answers = ask(icmp(other.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))
