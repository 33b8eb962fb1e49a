"""Waiting for a condition, with a deadline that says what was waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from netfacts.model.errors import LabError, NetfactsError

T = TypeVar("T")

# A tenth of what was waited already, between these: soon seen where it comes soon, and asking seldom where machines are
# slow is what lets them get on.
_SHORTEST_S, _LONGEST_S, _SHARE = 0.005, 0.05, 0.1


def until(
    condition: Callable[[], T | None], *, what: str, timeout_s: float, error: Callable[[str], NetfactsError] = LabError
) -> T:
    """Ask `condition` again and again until it gives something true, and give that.

    Raises: `error` after `timeout_s`, naming `what`; whatever `condition` raises.
    """
    pause = threading.Event()
    began = time.monotonic()
    while True:
        if found := condition():
            return found
        waited = time.monotonic() - began
        if waited > timeout_s:
            raise error(f"waited {timeout_s:.0f} s for {what}, in vain")
        pause.wait(min(max(_SHARE * waited, _SHORTEST_S), _LONGEST_S))
