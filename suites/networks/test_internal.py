"""Networks made with --internal: what their containers have, and who reaches them."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import links, output, routes
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

_PORT = 8080


@pytest.mark.fact("internal.no-default-route")
@pytest.mark.shared
def test_container_of_internal_network_has_no_default_route(host: Host, act: Act, claim: Claim) -> None:
    """A container that is only on an --internal network has no default route."""
    box, other = host.container("box", network=host.network("inner", internal=True)), host.container("other")
    found = len(_default_routes(other.vantage))
    claim.control(equal("default routes on the default bridge", found, 1, control=True))

    with act:
        ways = _default_routes(box.vantage)
        claim.show("ip route in the container", output(box.vantage, "ip", "route"))

    claim.judge(equal("gateways of default routes", ways, [], vantage=box.name))


def _default_routes(vantage: Vantage) -> list[str]:
    return [route.gateway for route in routes(vantage) if route.destination == "default"]


@tamper("internal.no-default-route", "the engine ignores --internal", engines=">=25")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"internal": False}


@strike("internal.no-default-route", "the container's default route is deleted", engines="<25")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip route del default")


@pytest.mark.fact("internal.reach")
@pytest.mark.shared
def test_internal_network_is_reached_by_host_and_peers(host: Host, act: Act, claim: Claim) -> None:
    """A container on an --internal network is reached by its host, and by other containers of the network."""
    inner = host.network("inner", internal=True)
    web, box = host.container("web", network=inner), host.container("box", network=inner)
    listen(web.vantage, _PORT)

    with act:
        *connected, of_host, of_box = ask(
            icmp(host.vantage, web.address),
            icmp(box.vantage, web.address),
            tcp(host.vantage, web.address, _PORT),
            tcp(box.vantage, web.address, _PORT),
        )
        claim.show(f"ip addr show {inner.bridge}", output(host.vantage, "ip", "addr", "show", inner.bridge))

    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in (*connected, of_host, of_box)),
        source_is(of_host, inner.gateway),
        source_is(of_box, box.address),
    )


@strike("internal.reach", "the network's bridge loses its address")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip addr flush dev {stage.network('inner').bridge}")


@strike("internal.reach", "the container's veth is taken off the bridge")
def _(stage: Stage) -> None:
    (eth0,) = [link for link in links(stage.container("web").vantage) if link.name == "eth0"]
    stage.host.machine.netlink.do("link", "set", index=eth0.peer_index, master=0)
