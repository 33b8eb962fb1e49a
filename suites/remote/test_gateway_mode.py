"""Gateway modes: what a network's own option opens to other machines."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import AddRoute
from fixtures.sabotage import Stage, strike, tamper, without
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import output, rules
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

_PORT = 8080
_MODE = "com.docker.network.bridge.gateway_mode_ipv4"


@pytest.mark.own_segment
@pytest.mark.fact("gwmode.nat-unprotected")
def test_nat_unprotected_opens_unpublished_ports_to_who_has_a_route(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """In gateway mode nat-unprotected an outside machine with a route reaches ports that are not published.

    client ── lan ── host ── open ── [web]
    """
    network = host.network("open", options={_MODE: "nat-unprotected"})
    web = host.container("web", network=network)
    listen(web.vantage, _PORT)
    add_route(network.subnet, host.address)
    near = ask(tcp(host.vantage, web.address, _PORT), icmp(client, network.gateway))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        (answer,) = ask(tcp(client, web.address, _PORT))

    claim.show("ip route, on the client", output(client, "ip", "route"))
    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(
        seen(answer, Outcome.CONNECTED),
        equal(f"who answered {answer.probe}", answer.name, web.name, vantage=client),
        source_is(answer, client.machine.address),
    )


@tamper("gwmode.nat-unprotected", "the engine ignores the mode")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "options")


@strike("gwmode.nat-unprotected", "the rule that accepts what comes to the network is deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("filter", "DOCKER", f"-o {stage.network('open').bridge} -j ACCEPT")
