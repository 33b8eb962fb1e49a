"""Containers in the host's network namespace: what they see."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import tamper
from netfacts.observe import Link, Route, links, namespaces, routes
from netfacts.topology import Host
from netfacts.verdict import equal


@pytest.mark.fact("host.same-netns")
@pytest.mark.shared
def test_host_mode_shares_the_hosts_network(host: Host, act: Act, claim: Claim) -> None:
    """A container on --network host runs in the host's network namespace: same links, addresses and routes."""
    box = host.container("box", mode="host")

    with act:
        own, hosts = namespaces(host.machine, box.pid), namespaces(host.machine, 1)
        inside, outside = links(box.vantage), links(host.vantage)
        ways, others = routes(box.vantage), routes(host.vantage)
        listed = box.run("ls", "/sys/class/net")

    claim.show(
        "ip addr, in box and on the host", "\n".join(map(_link, inside)) + "\n\n" + "\n".join(map(_link, outside))
    )
    claim.show("namespaces", "\n".join(f"{kind:4} of box {own[kind]}, of the host {hosts[kind]}" for kind in own))
    claim.judge(
        equal("network namespace", own["net"], hosts["net"], vantage=box.name),
        equal("links, by the container's own /sys", set(listed.out.split()), {link.name for link in outside}),
        equal("links, MACs and addresses", set(map(_link, inside)), set(map(_link, outside)), vantage=box.name),
        equal("routes", set(map(_route, ways)), set(map(_route, others)), vantage=box.name),
    )


@tamper("host.same-netns", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("host.same-netns", "the engine takes --network host for --network none")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": request["mode"].replace("host", "none")}


def _link(link: Link) -> str:
    # Link-local addresses come and go with the carrier, up to a second late.
    addresses = [str(address) for address in link.addresses if not address.ip.is_link_local]
    return f"{link.name} {link.mac} {' '.join(addresses)}".rstrip()


def _route(route: Route) -> str:
    return f"{route.destination} {route.gateway and f'via {route.gateway} '}dev {route.device}"
