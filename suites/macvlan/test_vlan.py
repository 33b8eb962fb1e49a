"""macvlan networks on a VLAN of their parent."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import links, output
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import equal, seen

_VLAN = 50
_SUBNET = IPv4Network("10.77.6.0/24")
_CLIENT, _ADDRESS = str(_SUBNET[20]), str(_SUBNET[77])


@pytest.mark.own_segment
@pytest.mark.fact("macvlan.8021q")
@pytest.mark.own_lab
def test_vlan_of_the_parent_comes_and_goes_with_the_network(
    host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """A network on eth0.50 makes that interface, and its container is met by others on VLAN 50 alone.

    [box] ── tagged ── eth0.50 of host ── lan, tagged 50 ── client's VLAN interface
    """
    parent = f"{host.machine.interface()}.{_VLAN}"
    _join(client, _VLAN)
    tagged = host.network("tagged", driver="macvlan", subnet=str(_SUBNET), options={"parent": parent})
    box = host.container("box", network=tagged, address=_ADDRESS)

    with act:
        during = _of_kind_vlan(host)
        answers = ask(icmp(client, _ADDRESS), icmp(box.vantage, _CLIENT))
        claim.show(f"ip -d link show {parent}", output(host.vantage, "ip", "-d", "link", "show", parent))
    host.stop(box)
    host.remove(tagged)

    claim.judge(
        equal("VLAN interfaces of the host while the network is there", during, [parent], vantage=host.vantage),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        equal("VLAN interfaces of the host afterwards", _of_kind_vlan(host), [], vantage=host.vantage),
    )


def _join(client: Vantage, number: int) -> None:
    """Have the client be on a VLAN of its segment, with an address there."""
    client.run(f"ip link add vlan0 link eth0 type vlan id {number}")
    client.run(f"ip address add {_CLIENT}/{_SUBNET.prefixlen} dev vlan0")
    client.run("ip link set vlan0 up")


def _of_kind_vlan(host: Host) -> list[str]:
    return [link.name for link in links(host.vantage) if link.kind == "vlan"]


@tamper("macvlan.8021q", "the engine takes the parent without its VLAN")
def _(request: dict[str, Any]) -> dict[str, Any]:
    options = request.get("options", {})
    return request | {"options": {**options, "parent": str(options.get("parent", "")).partition(".")[0]}}


@strike("macvlan.8021q", "the client is on another VLAN")
def _(stage: Stage) -> None:
    client = stage.vantage("client")
    client.run("ip link del vlan0")
    _join(client, _VLAN + 1)


@strike("macvlan.8021q", "the engine says that it has removed the network, and has not")
def _(stage: Stage) -> None:
    stage.host.remove = lambda *_: None  # type: ignore[method-assign]
