"""Ctrl-C while modules are imported.

What is raised in a callback of importlib's own, Python prints and forgets: a KeyboardInterrupt that came there would be
lost, and the command would go on as though nobody had asked it to end.
"""

from __future__ import annotations

import signal


def end_at_once() -> None:
    """Have Ctrl-C end this process there and then: nothing has been begun that is to be put away.

    A process that was started without Ctrl-C stays so.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_in_order() -> None:
    """Have Ctrl-C raise KeyboardInterrupt, as Python has it from the start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
