"""The order of checks: one's own by a seed, and no verdict that depends on it."""

from __future__ import annotations

from pathlib import Path

from selftests.whole.conftest import Start

_SELECT = ("-k", "dns.nxdomain or dns.not-default-bridge or dns.rename or dns.scope or dns.user-net-names")


def test_seed_makes_the_order_and_no_verdict(checkout: Path, start: Start) -> None:
    orders, verdicts = [], []
    for seed in ("1", "1", "2"):
        run = start(checkout, *_SELECT, "-n", "0", "--shuffle", seed)
        assert run.wait() == 0, run.said()
        orders.append([line["fact"] for line in run.of("verdict")])
        verdicts.append({(line["fact"], line["verdict"]) for line in run.of("verdict")})

    assert orders[0] == orders[1] != orders[2]
    assert verdicts[0] == verdicts[1] == verdicts[2]
    assert len(verdicts[0]) == 5


def test_workers_share_an_order(checkout: Path, start: Start) -> None:
    run = start(checkout, *_SELECT, "-n", "2", "--shuffle", "7")

    assert run.wait() == 0, run.said()
    assert len(run.of("verdict")) == 5
