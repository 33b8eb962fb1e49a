"""Host ports that the engine chooses."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import tamper
from netfacts.observe import ephemeral_ports
from netfacts.probe import listen
from netfacts.topology import Host
from netfacts.verdict import holds

_PORT, _OTHER_PORT = 8080, 8081
_HOST_PORT, _OTHER_HOST_PORT = 20080, 20081
# Engines begin at the low end of the range, and give up after ten ports that something else holds.
_HELD = 3


@pytest.mark.fact("publish.same-port-v4v6")
@pytest.mark.own_lab
def test_chosen_port_is_the_same_on_ipv4_and_ipv6(host: Host, act: Act, claim: Claim) -> None:
    """A host port that the engine chooses has the same number on IPv4 and on IPv6."""
    held = ephemeral_ports(host.vantage)[:_HELD]
    for port in held:
        listen(host.vantage, port, address="::1")

    with act:
        web = host.container("web", publish={f"{_PORT}/tcp": None})

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.show("ports that a program of the host's holds on [::1]", ", ".join(map(str, held)))
    ports = {port.host_address: port.host_port for port in web.ports}
    same = len(ports) > 1 and len(set(ports.values())) == 1
    claim.judge(holds("host ports by family", same, web.ports, expected="the same on both", vantage=host.name))


@tamper("publish.same-port-v4v6", "the engine takes a fixed port", engines="<27")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": _HOST_PORT}}


@tamper("publish.same-port-v4v6", "the engine takes a port for each family", engines=">=27")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": [("0.0.0.0", _HOST_PORT), ("::", _OTHER_HOST_PORT)]}}


@tamper("publish.same-port-v4v6", "the engine publishes by IPv4 only", engines=">=27")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": ("0.0.0.0",)}}


@pytest.mark.fact("publish.ephemeral-range")
@pytest.mark.sysctl({"net.ipv4.ip_local_port_range": "40000 40099"})
def test_chosen_ports_come_from_the_hosts_range(host: Host, act: Act, claim: Claim) -> None:
    """Host ports that the engine chooses come from net.ipv4.ip_local_port_range."""
    free = ephemeral_ports(host.vantage)

    with act:
        web = host.container("web", publish={f"{port}/tcp": None for port in (_PORT, _OTHER_PORT)})

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    expected = f"{free[0]} to {free[-1]}"
    claim.judge(*(holds(str(port), port.host_port in free, port.host_port, expected=expected) for port in web.ports))


@tamper("publish.ephemeral-range", "the engine takes ports of its own range", engines=">=20.10.22")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": 49153, f"{_OTHER_PORT}/tcp": 49154}}
