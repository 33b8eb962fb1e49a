"""What docker0 has of IPv6 without being told to."""

from __future__ import annotations

import contextlib
from functools import partial
from ipaddress import IPv6Address, IPv6Interface

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.lab import Vantage
from netfacts.lab.wait import until
from netfacts.model.errors import ProbeError
from netfacts.observe import interface, output
from netfacts.topology import Host
from netfacts.verdict import equal

_BRIDGE = "docker0"
_LINK_LOCAL = IPv6Address("fe80::")
_MADE_S = 3.0


class _Late(ProbeError):
    """There was none in time."""


@pytest.mark.fact("docker0.link-local")
def test_docker0_has_a_link_local_address_of_its_mac(host: Host, act: Act, claim: Claim) -> None:
    """With a container on it, docker0 has the IPv6 link-local address that its MAC address makes, and no other."""
    host.container("box")

    with act:
        docker0 = interface(host.vantage, _BRIDGE)
        found = _awaited(host.vantage)
        claim.show("ip addr show docker0", output(host.vantage, "ip", "addr", "show", _BRIDGE))

    claim.judge(equal("link-local addresses of docker0", found, [_of_mac(docker0.mac)], vantage=host.vantage))


def _awaited(vantage: Vantage) -> list[str]:
    """The kernel makes the address a moment after the first port has given docker0 a carrier."""
    with contextlib.suppress(_Late):
        until(partial(_link_local, vantage), what="an IPv6 address of docker0", timeout_s=_MADE_S, error=_Late)
    return _link_local(vantage)


def _link_local(vantage: Vantage) -> list[str]:
    addresses = interface(vantage, _BRIDGE).addresses
    return [str(one) for one in addresses if isinstance(one, IPv6Interface) and one.is_link_local]


def _of_mac(mac: str) -> str:
    """Give the address as RFC 4291 makes it: the bit for local MAC addresses turned, ff:fe put in the middle."""
    head, tail = bytes.fromhex(mac.replace(":", ""))[:3], bytes.fromhex(mac.replace(":", ""))[3:]
    identifier = bytes([head[0] ^ 2]) + head[1:] + b"\xff\xfe" + tail
    return f"{_LINK_LOCAL + int.from_bytes(identifier, 'big')}/64"


@strike("docker0.link-local", "IPv6 is switched off on docker0")
def _(stage: Stage) -> None:
    stage.host.machine.sysctl(**{f"net.ipv6.conf.{_BRIDGE}.disable_ipv6": "1"})


@strike("docker0.link-local", "docker0 is given another MAC address, and keeps its addresses")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "set", index=netlink.index(_BRIDGE), address="02:00:5e:10:00:01")
