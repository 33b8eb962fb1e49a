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
    def parse(cls, target: str) -> Destination:
        """Read a target: `ssh://[user@]host[:port]`.

        Raises: UsageError for anything else.
        """
        named = target.removeprefix(SCHEME)
        if "," in named:
            raise UsageError(
                "a visit goes to one VM",
                returned=f"{target} names {named.count(',') + 1}",
                remedy="name the one whose engine is meant: clients and routers are made on it, as namespaces",
            )
        match = _ONE.fullmatch(named) if target.startswith(SCHEME) else None
        if match is None or (match["port"] and int(match["port"]) not in _PORTS) or (match["user"] or "")[:1] == "-":
            raise UsageError(f"{target!r} names no VM", remedy="ssh://user@vm, or ssh://user@vm:2222")
        return cls(match["host"].strip("[]"), match["user"] or "", int(match["port"] or 0))
