"""What a page shows of flows that ran while an engine was replaced."""

from __future__ import annotations

from collections.abc import Mapping

from fixtures.claim import Claim
from fixtures.takeover import Absence
from netfacts.probe import Account


def account(claim: Claim, absence: Absence, flows: Mapping[str, Account]) -> None:
    """Note the gap of each flow, and when it began; none is judged by its length."""
    lines = []
    for name, flow in flows.items():
        end = f"{flow.answer.outcome} {flow.answer.detail}".strip()
        value, detail = (flow.gap_ms, "") if flow.survived else (None, f"it did not survive: {end}")
        claim.measure(f"gap of the {name}", value, "ms", detail=detail)
        lines.append(
            f"{name}: {flow.sent} lines sent, {flow.answered} answered; longest time without an answer "
            f"{flow.gap_ms:.0f} ms, which began {absence.since(flow.gap_at)}; at the end {end}"
        )
    claim.show(f"flows, while the engine was away for {absence}", "\n".join(lines))
