"""Flows in a lab: they notice what cuts them, and go on over the end of an engine that leaves containers running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netfacts.engine import Engine, Installation
from netfacts.lab import Lab, of_machine
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.probe import listen, start_flow, stop_flows
from netfacts.topology import LIVE, Host, take_over
from selftests.probe.conftest import started


@pytest.fixture
def live(installation: Installation) -> Iterator[tuple[Lab, Engine]]:
    """A lab of its own whose engine leaves containers running."""
    yield from started(installation, *LIVE, shape="host-and-outside")


def test_flows_survive_where_nothing_happens(host: Host, lab: Lab) -> None:
    box, client = host.container("box"), of_machine(lab["client"])
    flows = [
        start_flow(box.vantage, client.machine.address, listen(client, protocol=over).port, protocol=over)
        for over in ("tcp", "udp")
    ]

    accounts = stop_flows(*flows)

    assert all(account.survived and account.answered for account in accounts)
    assert accounts[1].peers == (host.address,)


def test_flow_whose_packets_are_dropped_does_not_survive(host: Host, lab: Lab) -> None:
    box, client = host.container("box"), of_machine(lab["client"])
    flow = start_flow(box.vantage, client.machine.address, listen(client).port)
    host.engine.execute(["iptables", "-I", "FORWARD", "-j", "DROP"]).checked("drop", ProbeError)
    try:
        (account,) = stop_flows(flow)
    finally:
        host.engine.execute(["iptables", "-D", "FORWARD", "-j", "DROP"])

    assert not account.survived
    assert account.answer.outcome is Outcome.TIMED_OUT
    assert account.gap_ms > 4000


def test_flow_to_nobody_is_an_error(host: Host) -> None:
    box = host.container("box")

    with pytest.raises(ProbeError):
        start_flow(box.vantage, "172.17.0.1", 1)


def test_flow_survives_an_engine_that_leaves_containers_running(live: tuple[Lab, Engine]) -> None:
    lab, engine = live
    host, client = Host(engine), of_machine(lab["client"])
    flow = start_flow(host.container("box").vantage, client.machine.address, listen(client).port)
    take_over([host], engine.installation)

    (account,) = stop_flows(flow)

    assert account.survived
