"""Links, addresses and routes of a vantage, by `ip -j`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import Any

from netfacts.lab import Vantage
from netfacts.lab.wait import until
from netfacts.model.errors import ProbeError

# The kernel takes the links of a namespace down some time after this has lost its last process and name: on a busy
# machine, where others end meanwhile, whole seconds after.
_GONE_S = 5.0


@dataclass(frozen=True)
class Link:
    """A network device. `peer_index` is the index of a veth's other end; `kind` is "" for a plain device."""

    index: int
    name: str
    kind: str
    master: str
    peer_index: int | None
    mac: str
    mtu_bytes: int
    up: bool
    carrier: bool
    addresses: tuple[IPv4Interface | IPv6Interface, ...]

    @property
    def ipv4(self) -> tuple[IPv4Interface, ...]:
        """Its IPv4 addresses."""
        return tuple(address for address in self.addresses if isinstance(address, IPv4Interface))


@dataclass(frozen=True)
class Route:
    """A route of the main table. `gateway` and `source` are "" where it has none; `protocol` says who has made it."""

    destination: str
    gateway: str
    device: str
    source: str
    protocol: str = ""


class _Late(ProbeError):
    """It did not go in time."""


def links(vantage: Vantage) -> list[Link]:
    """Read the links of a vantage, with their addresses.

    Raises: ProbeError.
    """
    return parse_links(_ip(vantage, "-d", "address", "show"))


def interface(vantage: Vantage, name: str) -> Link:
    """Read the link of this name.

    Raises: ProbeError where there is none.
    """
    found = links(vantage)
    for link in found:
        if link.name == name:
            return link
    raise ProbeError(f"there is no link {name}", where=str(vantage), returned=", ".join(link.name for link in found))


def other_end(link: Link, vantage: Vantage) -> Link:
    """Read the other end of a veth pair, such as of a container's eth0, in the vantage that it lies in: its host's.

    Raises: ProbeError where there is none.
    """
    found = links(vantage)
    for other in found:
        if other.index == link.peer_index:
            return other
    names = ", ".join(other.name for other in found)
    raise ProbeError(f"there is no other end of {link.name}", where=str(vantage), returned=names)


def bridge_ports(vantage: Vantage, bridge: str, *, besides: Iterable[Link] = ()) -> list[Link]:
    """Read the links of a vantage that are ports of a bridge, and were not among those of before.

    Raises: ProbeError.
    """
    known = {link.index for link in besides}
    return [link for link in links(vantage) if link.master == bridge and link.index not in known]


def gone(vantage: Vantage, name: str, *, timeout_s: float = _GONE_S) -> bool:
    """Wait for the link of this name to go; False where it is still there after `timeout_s`.

    Raises: ProbeError.
    """
    with contextlib.suppress(_Late):
        return until(
            lambda: all(link.name != name for link in links(vantage)),
            what=f"link {name} of {vantage} to go",
            timeout_s=timeout_s,
            error=_Late,
        )
    return False


def routes(vantage: Vantage, *, family: int = 4) -> list[Route]:
    """Read the main routing table of a vantage.

    Raises: ProbeError.
    """
    return parse_routes(_ip(vantage, f"-{family}", "route", "show"))


def neighbours(vantage: Vantage) -> dict[str, str]:
    """Read which MAC addresses a vantage knows for the addresses beside it.

    Raises: ProbeError.
    """
    return parse_neighbours(_ip(vantage, "neigh", "show"))


def statistics(vantage: Vantage, interface: str) -> dict[str, int]:
    """Read what `ethtool -S` prints of a link: its driver's own statistics, by name.

    Raises: ProbeError where there is no such link.
    """
    said: dict[str, int] = vantage.machine.agent.call("ethtool", net=vantage.net, interface=interface)
    return said


def parse_links(text: str) -> list[Link]:
    """Read what `ip -j -d address show` prints.

    Raises: ProbeError.
    """
    entries = [entry for entry in _entries(text) if entry.get("ifname")]
    # Where both ends lie in one namespace, `ip` names the other one, and does not number it.
    indexes = {str(entry["ifname"]): entry.get("ifindex") for entry in entries}
    return [_link({"link_index": indexes.get(str(entry.get("link")))} | entry) for entry in entries]


def parse_routes(text: str) -> list[Route]:
    """Read what `ip -j route show` prints.

    Raises: ProbeError.
    """
    return [
        Route(
            str(entry.get("dst", "")),
            str(entry.get("gateway", "")),
            str(entry.get("dev", "")),
            str(entry.get("prefsrc", "")),
            str(entry.get("protocol", "")),
        )
        for entry in _entries(text)
    ]


def parse_neighbours(text: str) -> dict[str, str]:
    """Read what `ip -j neigh show` prints, as far as it knows an answer.

    Raises: ProbeError.
    """
    return {str(entry.get("dst", "")): str(entry["lladdr"]) for entry in _entries(text) if "lladdr" in entry}


def _ip(vantage: Vantage, *argv: str) -> str:
    done = vantage.machine.execute(["ip", "-j", *argv], net=vantage.net)
    return done.checked(f"could not read links of {vantage}", ProbeError).out


def _entries(text: str) -> list[dict[str, Any]]:
    try:
        said = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        raise ProbeError("`ip -j` printed no JSON", returned=f"{error}\n{text[:200]}") from None
    if not isinstance(said, list) or not all(isinstance(entry, dict) for entry in said):
        raise ProbeError("`ip -j` printed no list of objects", returned=text[:200])
    return said


def _link(entry: dict[str, Any]) -> Link:
    flags = entry.get("flags") or ()
    try:
        return Link(
            index=int(entry["ifindex"]),
            name=str(entry["ifname"]),
            kind=str((entry.get("linkinfo") or {}).get("info_kind", "")),
            master=str(entry.get("master", "")),
            peer_index=entry.get("link_index"),
            mac=str(entry.get("address", "")),
            mtu_bytes=int(entry.get("mtu", 0)),
            up="UP" in flags,
            carrier="LOWER_UP" in flags,
            addresses=tuple(
                ip_interface(f"{item['local']}/{item['prefixlen']}") for item in entry.get("addr_info") or () if item
            ),
        )
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ProbeError("`ip -j` described a link in a way not known here", returned=f"{error!r}: {entry}") from None
