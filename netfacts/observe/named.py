"""Network namespaces that have names, by `ip netns`."""

from __future__ import annotations

import json

from netfacts.lab import Machine
from netfacts.model.errors import ProbeError

_FOLDER = "/var/run/netns"


def named(machine: Machine) -> dict[str, int]:
    """Read the names that `ip netns list` prints, each with the inode of what it leads to: 0 for nothing.

    Raises: ProbeError.
    """
    done = machine.execute(["ip", "-j", "netns", "list"])
    names = parse_netns(done.checked("could not list namespaces", ProbeError).out)
    # Seen from within the machine: a name may be a symbolic link.
    inodes: list[int] = machine.agent.call("inodes", paths=[f"{_FOLDER}/{name}" for name in names])
    return dict(zip(names, inodes, strict=True))


def parse_netns(text: str) -> list[str]:
    """Read what `ip -j netns list` prints.

    Raises: ProbeError.
    """
    try:
        return [str(entry["name"]) for entry in (json.loads(text) if text.strip() else [])]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProbeError("`ip -j` printed no list of names", returned=f"{error!r}\n{text[:200]}") from None
