"""Ports published on the loopback address, and the neighbours of the host."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import AddRoute
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, output, rules
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import seen

_PORT = 8080
_HOST_PORT, _OTHER_HOST_PORT = 20080, 20081
_LOOPBACK = "127.0.0.1"


@pytest.mark.own_segment
@pytest.mark.fact("publish.localhost-neighbour")
@pytest.mark.own_lab
def test_neighbour_does_not_get_to_a_port_published_on_loopback(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """A neighbour that sends packets for 127.0.0.1 or the container by way of the host doesn't get to the port.

    client ── lan ── host: 127.0.0.1:H ── docker0 ── [web]
    127.0.0.1 via host, docker0's subnet via host
    """
    web = host.container("web", publish={f"{_PORT}/tcp": [(_LOOPBACK, _HOST_PORT), _OTHER_HOST_PORT]})
    listen(web.vantage, _PORT)
    bridge = host.predefined()
    _let_loopback_out(client)
    for prefix in (f"{_LOOPBACK}/32", bridge.subnet):
        add_route(prefix, host.address)
    docker0 = str(interface(host.vantage, bridge.bridge).ipv4[0].ip)
    # What is published everywhere shows that packets for 127.0.0.1 arrive, and would be led on.
    arriving = ask(
        tcp(host.vantage, _LOOPBACK, _HOST_PORT), tcp(client, _LOOPBACK, _OTHER_HOST_PORT), icmp(client, docker0)
    )
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in arriving))

    with act:
        answers = ask(tcp(client, _LOOPBACK, _HOST_PORT), tcp(client, web.address, _PORT))

    claim.show("ip route, on the client", output(client, "ip", "route"))
    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(*(seen(answer, Outcome.TIMED_OUT) for answer in answers))


def _let_loopback_out(client: Vantage) -> None:
    """Have a machine treat 127.0.0.1 as an address like others."""
    client.run(f"ip address del {_LOOPBACK}/8 dev lo")
    client.machine.sysctl(**{"net.ipv4.conf.all.route_localnet": "1"})


@strike("publish.localhost-neighbour", "the host drops what comes from outside for its containers", engines="<28")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -i eth0 -j DROP")


@strike("publish.localhost-neighbour", "the raw table drops nothing", engines=">=28")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -t raw -F PREROUTING")


@strike("publish.localhost-neighbour", "the raw table lets pass what is for 127.0.0.1", engines=">=28")
def _(stage: Stage) -> None:
    stage.delete_rules("raw", "PREROUTING", f"-d {_LOOPBACK}/32 ")


@tamper("publish.localhost-neighbour", "the engine ignores the host address of -p", engines=">=28")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": [_HOST_PORT, _OTHER_HOST_PORT]}}
