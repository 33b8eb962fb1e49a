"""Ctrl-C: the first ends a command in order, the second is answered, the third ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Never

_ANSWER = b"\nnetfacts: still ending; Ctrl-C once more ends it at once, and `netfacts sweep` removes what stays\n"


@contextlib.contextmanager
def in_order() -> Iterator[None]:
    """Raise KeyboardInterrupt once.

    A second one would come anywhere in the ending of the first, such as while pytest puts back the standard streams,
    and neither pytest nor its plugins stand that: the record or the page would be missing.
    """
    before = signal.signal(signal.SIGINT, _first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _first(*_: object) -> Never:
    signal.signal(signal.SIGINT, _second)
    raise KeyboardInterrupt


def _second(*_: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Not print: the signal may have come in the middle of one.
    with contextlib.suppress(OSError):
        os.write(2, _ANSWER)
