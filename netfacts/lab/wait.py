"""Waiting for a condition, with a deadline that says what was waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from netfacts.model.errors import LabError, NetfactsError

T = TypeVar("T")

_PAUSE_S = 0.01


def until(
    condition: Callable[[], T | None], *, what: str, timeout_s: float, error: Callable[[str], NetfactsError] = LabError
) -> T:
    """Ask `condition` again and again until it gives something true, and give that.

    Raises: `error` after `timeout_s`, naming `what`; whatever `condition` raises.
    """
    pause = threading.Event()
    deadline = time.monotonic() + timeout_s
    while True:
        if found := condition():
            return found
        if time.monotonic() > deadline:
            raise error(f"waited {timeout_s:.0f} s for {what}, in vain")
        pause.wait(_PAUSE_S)
