"""Where `--target ssh://…` leads."""

from __future__ import annotations

import re

import msgspec

from netfacts.model.errors import UsageError

SCHEME = "ssh://"
_ONE = re.compile(
    r"(?:(?P<user>[^@\s,]+)@)?(?P<host>\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[^-@:\s,/\[\]][^@:\s,/\[\]]*)(?::(?P<port>\d+))?/?"
)
_PORTS = range(1, 65536)


class Destination(msgspec.Struct, frozen=True):
    """A VM as ssh is told of it: `host` may be a name of its configuration. Port 0 and no user leave these to that."""

    host: str
    user: str = ""
    port: int = 0

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (f"{self.user}@" if self.user else "") + host + (f":{self.port}" if self.port else "")

    @classmethod
    def parse(cls, target: str) -> list[Destination]:
        """Read a target: `ssh://[user@]host[:port]`, and perhaps others after commas, with or without the scheme.

        Raises: UsageError for anything else.
        """
        found = []
        for named in target.removeprefix(SCHEME).split(",") if target.startswith(SCHEME) else [""]:
            match = _ONE.fullmatch(named.removeprefix(SCHEME))
            if (
                match is None
                or (match["port"] and int(match["port"]) not in _PORTS)
                or (match["user"] or "")[:1] == "-"
            ):
                raise UsageError(f"{named!r} names no VM", where=target, remedy="ssh://user@vm, or ssh://user@vm:2222")
            found.append(cls(match["host"].strip("[]"), match["user"] or "", int(match["port"] or 0)))
        if len(set(found)) < len(found):
            raise UsageError("a visit goes to each VM once", returned=target, remedy="ssh://user@vm1,user@vm2")
        return found
