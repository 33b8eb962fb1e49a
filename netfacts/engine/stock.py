"""All that labs use besides engines, by what facts call it that need it."""

from __future__ import annotations

from collections.abc import Mapping

from netfacts.engine.packaged import Packaged, obstacle
from netfacts.engine.program import PROGRAMS
from netfacts.engine.recipe import APPLICATIONS, NEED

STOCK: Mapping[str, tuple[Packaged, ...]] = {
    NEED: tuple(APPLICATIONS.values()),
    **{program.name: (program,) for program in PROGRAMS.values()},
}
"""What a need asks for, by the need."""
PACKAGED: Mapping[str, Packaged] = {**APPLICATIONS, **PROGRAMS}
"""By their specs."""


def missing_stock() -> dict[str, str]:
    """Give the needs that can't be met on this machine, each with the remedy."""
    remedies = {need: obstacle(*wanted) for need, wanted in STOCK.items()}
    return {need: remedy for need, remedy in remedies.items() if remedy}
