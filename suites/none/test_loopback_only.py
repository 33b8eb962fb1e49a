"""Containers without a network: what they have, and whom they reach."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import Link, links, namespaces, routes
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import different, equal, seen
from suites.none.byhand import wire

_LOOPBACK = "127.0.0.1"


@pytest.mark.fact("none.lo-only")
@pytest.mark.shared
def test_none_mode_leaves_only_loopback(host: Host, act: Act, claim: Claim) -> None:
    """A container on --network none has a network namespace of its own in which only lo is up."""
    box = host.container("box", mode="none")
    other = host.container("other")
    claim.control(equal("interfaces that are up", _up(other.vantage), ["eth0", "lo"], vantage=other.name, control=True))

    with act:
        spaces = {pid: namespaces(host.machine, pid)["net"] for pid in (1, box.pid, other.pid)}
        found = links(box.vantage)

    claim.show("docker exec box ip addr", box.run("ip", "addr").out)
    claim.judge(
        different("network namespace, beside the host's", spaces[box.pid], spaces[1], vantage=box.name),
        different(
            "network namespace, beside another container's", spaces[box.pid], spaces[other.pid], vantage=box.name
        ),
        equal("interfaces that are up", [link.name for link in found if link.up], ["lo"], vantage=box.name),
        equal("addresses besides loopback", _addresses(found), [], vantage=box.name),
    )


@tamper("none.lo-only", "the engine ignores --network none")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("none.lo-only", "the engine takes --network none for --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": request["mode"].replace("none", "host")}


@strike("none.lo-only", "a veth is put into the container by hand")
def _(stage: Stage) -> None:
    wire(stage)


@pytest.mark.fact("none.isolated")
@pytest.mark.shared
def test_none_mode_container_is_isolated(host: Host, act: Act, claim: Claim) -> None:
    """A container on --network none reaches nothing outside itself over IP, and nothing outside reaches it.

    box (none, lo)     other (bridge) ── docker0 ── host ── resolver
    """
    box, other = host.container("box", mode="none"), host.container("other")
    of_box, of_other = listen(box.vantage, 8080), listen(other.vantage, 8081)
    (gateway,) = {route.gateway for route in routes(other.vantage) if route.destination == "default"}
    resolver = str(host.machine.lab.resolver)
    controls = ask(
        tcp(box.vantage, _LOOPBACK, of_box.port),
        tcp(host.vantage, other.address, of_other.port),
        icmp(other.vantage, gateway),
        tcp(other.vantage, resolver, 53, exchange=False),
    )
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in controls))

    with act:
        out = ask(
            tcp(box.vantage, other.address, of_other.port),
            icmp(box.vantage, gateway),
            tcp(box.vantage, resolver, 53, exchange=False),
        )
        back = ask(tcp(host.vantage, _LOOPBACK, of_box.port), tcp(other.vantage, _LOOPBACK, of_box.port))
        box.refresh()
        found, ways = links(box.vantage), routes(box.vantage)

    claim.show("docker exec box ip addr; ip route", box.run("sh", "-c", "ip addr; ip route").out)
    claim.judge(
        *(seen(answer, Outcome.UNREACHABLE) for answer in out),
        *(seen(answer, Outcome.REFUSED) for answer in back),
        equal("addresses that others could aim at", _addresses(found), [], vantage=box.name),
        equal("routes", [way.destination for way in ways], [], vantage=box.name),
        equal("address that docker inspect names", box.address_on("none"), "", vantage=box.name),
    )


@tamper("none.isolated", "the engine ignores --network none")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("none.isolated", "the container is wired to docker0 by hand")
def _(stage: Stage) -> None:
    wire(stage)


def _up(vantage: Vantage) -> list[str]:
    return sorted(link.name for link in links(vantage) if link.up)


def _addresses(found: list[Link]) -> list[str]:
    return [str(address) for link in found for address in link.addresses if not address.ip.is_loopback]
