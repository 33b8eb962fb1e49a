"""ipvlan networks on a host's own interface."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, neighbours, output
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

_PORT = 8080


@pytest.mark.own_segment
@pytest.mark.fact("ipvlan.l2")
def test_container_has_the_mac_of_its_parent(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """An ipvlan container is on the segment with the MAC of its host's interface; its host does not reach it.

    [box] ── segment ── eth0 of host ── lan ── client
    """
    lan = host.machine.lab.segment("lan").ipv4
    address = str(lan[77])
    segment = host.network(
        "segment", driver="ipvlan", subnet=str(lan), options={"parent": host.machine.interface(), "ipvlan_mode": "l2"}
    )
    box = host.container("box", network=segment, address=address)
    listen(box.vantage, _PORT)

    with act:
        outside, own = ask(tcp(client, address, _PORT), tcp(host.vantage, address, _PORT))
        (ping,) = ask(icmp(box.vantage, client.machine.address))
        known = neighbours(client)
        macs = {
            box.name: interface(box.vantage, "eth0").mac,
            host.name: interface(host.vantage, host.machine.interface()).mac,
        }

    claim.show("ip neigh, on the client", output(client, "ip", "neigh"))
    claim.show("ip -d link show eth0, in the container", output(box.vantage, "ip", "-d", "link", "show", "eth0"))
    claim.judge(
        seen(outside, Outcome.CONNECTED),
        source_is(outside, client.machine.address),
        seen(ping, Outcome.CONNECTED),
        equal("MAC of the container", macs[box.name], macs[host.name], vantage=box.vantage),
        equal(f"MAC of {address}", known.get(address), macs[host.name], vantage=client),
        seen(own, Outcome.UNREACHABLE, Outcome.TIMED_OUT),
    )


@tamper("ipvlan.l2", "the engine makes a macvlan network")
def _(request: dict[str, Any]) -> dict[str, Any]:
    options = {"parent": request["options"]["parent"]} if "parent" in request.get("options", {}) else {}
    return request | ({"driver": "macvlan", "options": options} if request.get("driver") == "ipvlan" else {})


@strike("ipvlan.l2", "the container's interface is down")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 down")
