"""Measuring in a lab: values by path and round, and paths that carry nothing."""

from __future__ import annotations

import pytest

from netfacts.lab import Lab, of_machine
from netfacts.model.errors import ProbeError
from netfacts.model.rounds import FEWEST
from netfacts.model.verdict import Outcome
from netfacts.probe import Path, measure, serve_loads
from netfacts.topology import Host


def test_each_path_has_a_value_for_each_round(host: Host, lab: Lab) -> None:
    box, client = host.container("box"), of_machine(lab["client"])
    near, far = serve_loads(host.vantage), serve_loads(client)

    measured = measure(
        Path("near", box.vantage, host.address, near.port),
        Path("far", box.vantage, client.machine.address, far.port),
        rounds=FEWEST,
        window_s=0.005,
    )

    assert [answer.outcome for answer in measured.answers] == [Outcome.CONNECTED] * 2
    for rounds in (measured.round_trip, measured.throughput):
        assert list(rounds.series) == ["near", "far"]
        assert all(len(values) == FEWEST and min(values) > 0 for values in rounds.series.values())
    near.close()
    far.close()


def test_path_that_carries_nothing_ends_it_and_says_how(host: Host, lab: Lab) -> None:
    client = of_machine(lab["client"])
    source = serve_loads(host.vantage)

    measured = measure(Path("open", client, host.address, source.port), Path("closed", client, host.address, 1))

    assert [answer.outcome for answer in measured.answers] == [Outcome.CONNECTED, Outcome.REFUSED]
    assert measured.round_trip.series == {"open": [], "closed": []}
    source.close()


def test_source_goes_with_its_container(host: Host) -> None:
    box = host.container("box")
    path = Path("gone", box.vantage, "127.0.0.1", serve_loads(box.vantage).port)
    measure(path, rounds=1)
    host.stop(box)

    with pytest.raises(ProbeError):
        measure(path)
