"""What an engine refuses."""

from __future__ import annotations

from collections.abc import Callable

from netfacts.engine import Ended
from netfacts.model.errors import EngineError


class Refused(EngineError):
    """The engine answered that it won't do as asked; `returned` holds its words."""


def refusal(attempt: Callable[[], object]) -> str:
    """Give the engine's words where it refuses what is attempted or to start, "" where it does as asked.

    Raises: EngineError where the engine does not answer.
    """
    try:
        attempt()
    except (Refused, Ended) as refused:
        return refused.returned or refused.attempted
    return ""
