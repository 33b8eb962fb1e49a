"""Forwarding tables of overlays: behind which host an engine looks for a MAC address."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from netfacts.engine import Engine
from netfacts.model.errors import ProbeError

_NAMESPACES = "/run/docker/netns"


@dataclass(frozen=True)
class Remote:
    """A container's MAC address, and the host behind which it is."""

    mac: str
    host: str


def remotes(engine: Engine, network: str) -> list[Remote]:
    """Read where an engine sends what is for the containers of other hosts on an overlay, named by its ID.

    Empty while the engine takes no part in the overlay.

    Raises: ProbeError.
    """
    folder = f"/proc/{engine.pid}/root{_NAMESPACES}"
    listed = engine.machine.agent.call("files", paths=[folder])[0].get("names", [])
    # libnetwork names an overlay's namespace after the number of times it was made, and ten characters of the ID.
    for name in listed:
        if re.fullmatch(rf"\d+-{re.escape(network[:10])}", name):
            # nsenter and not a worker of the agent's: that would keep the namespace from going.
            done = engine.machine.execute(["nsenter", f"--net={folder}/{name}", "bridge", "-j", "fdb", "show"])
            return parse_fdb(done.checked("could not read the overlay's forwarding table", ProbeError).out)
    return []


def parse_fdb(text: str) -> list[Remote]:
    """Read what `bridge -j fdb show` prints, as far as it speaks of other hosts.

    Raises: ProbeError.
    """
    try:
        entries = json.loads(text) if text.strip() else []
        return [Remote(str(entry["mac"]), str(entry["dst"])) for entry in entries if "dst" in entry]
    except (ValueError, KeyError, TypeError) as error:
        raise ProbeError("`bridge -j` printed no forwarding table", returned=f"{error!r}\n{text[:200]}") from None
