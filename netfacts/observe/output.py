"""What a program prints in a vantage, as a person would see it: for evidence, never to be judged."""

from __future__ import annotations

from netfacts.lab import Vantage


def output(vantage: Vantage, *argv: str) -> str:
    """Give what a program of the machine prints in a vantage's network namespace, complaints included.

    Raises: ProbeError where it can't be started.
    """
    done = vantage.machine.execute(argv, net=vantage.net)
    return done.out + done.err
