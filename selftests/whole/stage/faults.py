"""Checks that meet with a fault of their own making; copied into the suites of a checkout of its own."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from fixtures.claim import Act, Claim
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import equal, seen

_HUNG_S = 5
_NASTY = "\x1b]0;mine\x07\x1b[2J\x00\x0b\uffff\x85</pre><script>alert(1)</script>]]>&#0;[/bold]" + "x" * 5000
# Takes no notice of what an engine sends a container first when it is to stop.
_DEAF = ("sh", "-c", "trap '' TERM HUP INT; while :; do sleep 1d; done")


def _answers(host: Host, act: Act, claim: Claim) -> None:
    box = host.container("box")

    with act:
        answers = ask(icmp(host.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))


@pytest.mark.fact("fault.first")
def test_first(host: Host, act: Act, claim: Claim) -> None:
    """The first check ends at once."""
    _answers(host, act, claim)


@pytest.mark.fact("fault.no-subnet")
@pytest.mark.engine("--default-address-pool=base=172.30.0.0/23,size=24")
def test_no_free_subnet(host: Host, act: Act, claim: Claim) -> None:
    """One for docker0, one for the first network, and none for the second."""
    first = host.network("first")
    second = host.network("second")
    box = host.container("box", network=second)

    with act:
        answers = ask(icmp(host.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers if first.subnet))


@pytest.mark.fact("fault.deaf")
def test_deaf(host: Host, act: Act, claim: Claim) -> None:
    """Its container would have to be waited for."""
    box = host.container("box", command=_DEAF)

    with act:
        host.machine.agent.call("signal", pid=box.pid, signal=int(signal.SIGTERM))
        answers = ask(icmp(host.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))


@pytest.mark.fact("fault.stopped")
def test_stopped(host: Host, act: Act, claim: Claim) -> None:
    """Its container does nothing any more, not even what it is told."""
    box = host.container("box", command=_DEAF)

    with act:
        host.machine.agent.call("signal", pid=box.pid, signal=int(signal.SIGSTOP))
        answers = ask(icmp(host.vantage, box.address))

    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))


@pytest.mark.fact("fault.hangs")
@pytest.mark.timeout(_HUNG_S)
def test_hangs(host: Host, act: Act, claim: Claim) -> None:
    """It waits for what nobody will say."""
    host.container("box")

    with act:
        (Path(os.environ["STAGE"]) / "hanging").touch()
        threading.Event().wait()


@pytest.mark.fact("fault.stray")
def test_stray(host: Host, act: Act, claim: Claim) -> None:
    """An assertion that is no judgement."""
    with act:
        assert not host.name


@pytest.mark.fact("fault.silent")
def test_silent(host: Host, act: Act, claim: Claim) -> None:
    """It never comes to a verdict."""
    with act:
        host.container("box")


@pytest.mark.fact("fault.nasty")
def test_nasty(host: Host, act: Act, claim: Claim) -> None:
    """What it has seen would be an order to a terminal, an element to a page and no character to XML."""
    with act:
        claim.show(_NASTY, _NASTY)

    claim.judge(equal(_NASTY, _NASTY, "something", vantage=_NASTY))


@pytest.mark.fact("fault.last")
def test_last(host: Host, act: Act, claim: Claim) -> None:
    """The last check ends at once, in a lab that is whole."""
    _answers(host, act, claim)
