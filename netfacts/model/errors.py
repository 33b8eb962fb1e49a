"""The errors a user of netfacts can meet. None is an AssertionError: only a deviating fact fails a check."""

from __future__ import annotations


class NetfactsError(Exception):
    """An error that says what was attempted, where, what came back and what to do next."""

    exit_code = 3

    def __init__(self, attempted: str, *, where: str = "", returned: str = "", remedy: str = "") -> None:
        self.attempted = attempted
        self.where = where
        self.returned = returned.strip()
        self.remedy = remedy
        super().__init__(attempted)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only fields would be lost when an error crosses a process border.
        return (_rebuild, (type(self), self.attempted, self.where, self.returned, self.remedy))

    def __str__(self) -> str:
        lines = [self.attempted + (f" (on {self.where})" if self.where else "")]
        if self.returned:
            lines += ["  " + line for line in self.returned.splitlines()]
        if self.remedy:
            lines.append(f"  → {self.remedy}")
        return "\n".join(lines)


def _rebuild(kind: type[NetfactsError], attempted: str, where: str, returned: str, remedy: str) -> NetfactsError:
    return kind(attempted, where=where, returned=returned, remedy=remedy)


class UsageError(NetfactsError):
    """The user asked for something that can't be done as asked: a wrong spec, file, option, or missing rights."""

    exit_code = 4


class LabError(NetfactsError):
    """A machine, segment or agent could not be built or was lost."""


class EngineError(NetfactsError):
    """A Docker Engine could not be found, unpacked, started or reached; carries the end of its log."""


class ProbeError(NetfactsError):
    """A probe or reader could not be carried out, so nothing was learnt about the fact."""


class Inconclusive(NetfactsError):
    """A positive control failed, so what the check saw proves nothing either way."""


class OffLimits(NetfactsError):
    """What a check needs would change a machine or an engine that is not netfacts' own: it is not exercised there."""
