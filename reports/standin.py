"""What stands for addresses, MACs and names in a redacted record: the same for the same, in the order of their coming.

All stand-ins are of ranges that nobody has, and parse like what they stand for. Addresses of one subnet stay in one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPV4 = IPv4Network("240.0.0.0/4")
"""Where IPv4 stand-ins are: reserved, never routed. Not 198.18.0.0/15, which a lab on a live engine may use."""
IPV6 = IPv6Network("2001:db8:ffff::/48")
LINK_LOCAL = IPv6Network("fe80::/112")
MAC = "02:00:5e:10"
"""How stand-ins for MACs begin: locally administered."""

_PUBLIC_IPV4 = tuple(
    map(IPv4Network, ("0.0.0.0/32", "127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"))
)
_PUBLIC_IPV6 = tuple(map(IPv6Network, ("::/127", "2001:db8::/32", "ff00::/8", "fe80::/128", "fe00::/128")))
_ANY_LINK_LOCAL = IPv6Network("fe80::/10")
# They carry the end of the address that they ask for.
_SOLICITED = IPv6Network("ff02::1:ff00:0/104")
_SOLICITED_MAC = "3333ff"
_HALF = 64
_IPV4_SUBNETS = 15 * 256
"""All /16s of the range but those in which netmasks lie."""


class StandIns:
    """The stand-ins of a record, or of several that are read together."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, dict[Hashable, int]] = {}

    def name(self, name: str, kind: str) -> str:
        """Give what stands for a name of a kind: host-1, host-2, …; case makes no difference."""
        return f"{kind}-{1 + self._number(kind, name.lower())}"

    def ipv4(self, address: IPv4Address) -> str:
        """Give what stands for an address, or itself where it is nobody's.

        A /16 becomes another /16, in which the third byte is another one but for 0 and 255; the last byte stays.
        """
        if any(address in network for network in _PUBLIC_IPV4) or _is_netmask(address):
            return str(address)
        subnet, third, last = int(address) >> 16, int(address) >> 8 & 255, int(address) & 255
        number = self._number("/16", subnet) % _IPV4_SUBNETS
        if third not in (0, 255):
            third = 1 + self._number(("third byte", subnet), third)
        return str(IPv4Address(int(IPV4.network_address) + (number << 16 | third << 8 | last)))

    def ipv6(self, address: IPv6Address) -> str:
        """Give what stands for an address, or itself where it is nobody's.

        A /64 becomes another /64, in which the interface is another one but for 0 and 1.
        """
        if address.ipv4_mapped:
            return f"::ffff:{self.ipv4(address.ipv4_mapped)}"
        if address in _SOLICITED:
            return str(_SOLICITED.network_address + self._number("solicited", address) % 2**24)
        if any(address in network for network in _PUBLIC_IPV6):
            return str(address)
        if address in _ANY_LINK_LOCAL:
            return str(LINK_LOCAL.network_address + 1 + self._number("link-local", address) % 0xFFFF)
        subnet, interface = int(address) >> _HALF, int(address) % 2**_HALF
        number = self._number("/64", subnet) % 2**16
        if interface > 1:
            interface = 2 + self._number(("interface", subnet), interface)
        return str(IPv6Address(int(IPV6.network_address) | number << _HALF | interface))

    def mac(self, octets: Sequence[str], separator: str = ":") -> str:
        """Give what stands for a MAC of six octets, or itself where it is a group's or nobody's."""
        mac = "".join(octets).lower()
        if mac.startswith(_SOLICITED_MAC) or (int(octets[0], 16) % 2 == 0 and int(mac, 16)):
            number = self._number("MAC", mac) % 2**16
            octets = [*MAC.split(":"), f"{number >> 8:02x}", f"{number & 255:02x}"]
        return separator.join(octets)

    def _number(self, space: Hashable, key: Hashable) -> int:
        known = self._numbers.setdefault(space, {})
        return known.setdefault(key, len(known))


def _is_netmask(address: IPv4Address) -> bool:
    gap = ~int(address) & 0xFFFFFFFF
    return int(address) >> 24 == 255 and gap & (gap + 1) == 0
