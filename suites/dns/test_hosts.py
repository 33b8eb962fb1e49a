"""Names that stand in a container's /etc/hosts."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike
from netfacts.model.verdict import Outcome
from netfacts.observe import interface
from netfacts.probe import resolve
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen

_NAME = "gateway.example"
_BRIDGE6 = "2001:db8:77::1"


@pytest.mark.fact("hosts.host-gateway")
@pytest.mark.engine("--ipv6", "--fixed-cidr-v6=2001:db8:77::/64")
def test_host_gateway_has_an_address_of_either_family(host: Host, act: Act, claim: Claim) -> None:
    """On a default bridge with IPv4 and IPv6, `--add-host NAME:host-gateway` gives NAME an address of either family."""
    box = host.container("box", hosts={_NAME: "host-gateway"})
    docker0 = [str(end.ip) for end in interface(host.vantage, "docker0").addresses]
    claim.control(equal(f"{_BRIDGE6} on docker0", _BRIDGE6 in docker0, True, control=True))

    with act:
        (ipv4,), (ipv6,) = (resolve(box.vantage, _NAME, family=family) for family in (4, 6))
        claim.show("/etc/hosts in the container", _hosts(box))

    claim.control(seen(ipv4, Outcome.CONNECTED, control=True))
    claim.judge(equal(f"IPv6 addresses of {_NAME}", ipv6.addresses, (_BRIDGE6,), vantage=box.vantage))


flags("hosts.host-gateway", "--host-gateway-ip=198.51.100.10", engines=">=28")


@strike("hosts.host-gateway", "docker0's IPv6 address is added to the container's /etc/hosts", engines="<28")
def _(stage: Stage) -> None:
    box = stage.container("box")
    text = f"{_hosts(box)}{_BRIDGE6}\t{_NAME}\n"
    stage.host.machine.agent.call("write", path=f"/proc/{box.pid}/root/etc/hosts", text=text)


def _hosts(container: Container) -> str:
    (text,) = container.engine.machine.read("/etc/hosts", root=f"/proc/{container.pid}/root")
    return text or ""
