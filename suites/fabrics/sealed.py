"""A tunnel between two hosts in which nothing can be read: as with a backend that encrypts. For sabotage alone."""

from __future__ import annotations

import sys
from pathlib import Path

from netfacts.lab.wait import until
from netfacts.observe import interface, links
from netfacts.topology import Host

_PROGRAM = Path(__file__).with_name("tunnel.py")
_DEVICE = "sealed0"
_READY_S = 10.0


def seal(here: Host, there: Host) -> None:
    """Lead what is for the other's docker0 through the tunnel, both ways.

    Raises: LabError, ProbeError.
    """
    for host, other in ((here, there), (there, here)):
        _dig(host, other)
    for host, other in ((here, there), (there, here)):
        (docker0,) = interface(other.vantage, "docker0").ipv4
        host.vantage.run(f"ip link set {_DEVICE} up")
        host.vantage.run(f"ip route replace {docker0.network} dev {_DEVICE}")


def _dig(host: Host, other: Host) -> None:
    host.machine.agent.call(
        "spawn",
        argv=[sys.executable, str(_PROGRAM), _DEVICE, host.address, other.address],
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        log=f"/run/netfacts/{_DEVICE}.log",
        root="",
        name=_DEVICE,
    )
    until(
        lambda: _DEVICE in {link.name for link in links(host.vantage)},
        what=f"{_DEVICE} on {host.name}",
        timeout_s=_READY_S,
    )
