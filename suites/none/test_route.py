"""Containers without a network: no way out, and one within."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.observe import output, routes, serving
from netfacts.probe import ask, http, icmp, listen, resolve, serve_names, tcp, udp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen
from suites.none.byhand import wire

_LOOPBACK = "127.0.0.1"
_PORT = 8080
# A name that the lab's own DNS server knows.
_KNOWN = "resolver.lab"


@pytest.mark.fact("none.no-route")
@pytest.mark.shared
def test_none_mode_container_has_no_route_and_no_dns(host: Host, act: Act, claim: Claim) -> None:
    """A container on --network none has no route, hence no gateway, and no name resolves there."""
    box, other = host.container("box", mode="none"), host.container("other")
    (gateway,) = {route.gateway for route in routes(other.vantage) if route.destination == "default"}
    (known,), (ping,) = resolve(other.vantage, _KNOWN), ask(icmp(other.vantage, gateway))
    claim.control(seen(known, Outcome.CONNECTED, control=True), seen(ping, Outcome.CONNECTED, control=True))

    with act:
        found = [
            f"{way.destination} dev {way.device}" for family in (4, 6) for way in routes(box.vantage, family=family)
        ]
        table = _table(box)
        (answer,) = ask(icmp(box.vantage, gateway))
        (name,) = resolve(box.vantage, _KNOWN)
        claim.show("ip route in the container", output(box.vantage, "ip", "route"))
        claim.show("ip -6 route in the container", output(box.vantage, "ip", "-6", "route"))

    claim.show("/proc/net/route of its first process", "\n".join(table))
    claim.judge(
        equal("routes that lead beyond lo", [way for way in found if not way.endswith("dev lo")], [], vantage=box.name),
        equal("destinations in /proc/net/route", [row.split()[1] for row in table[1:]], [], vantage=box.name),
        seen(answer, Outcome.UNREACHABLE),
        seen(name, Outcome.RESOLVER_FAILED),
    )


def _table(container: Container) -> list[str]:
    """The routing table that the container's first process sees: a header, and a line for each route."""
    (text,) = container.engine.machine.read(f"/proc/{container.pid}/net/route")
    if not text:
        # Without even a header nothing was read.
        raise ProbeError("could not read the routes of a process", where=container.name)
    return text.splitlines()


@tamper("none.no-route", "the engine ignores --network none")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("none.no-route", "the container is wired to docker0 by hand")
def _(stage: Stage) -> None:
    wire(stage)


@strike("none.no-route", "the container is given a route that leads nowhere")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip route add blackhole 203.0.113.0/24")


@strike("none.no-route", "a DNS server stands inside the container")
def _(stage: Stage) -> None:
    box, server = stage.container("box").vantage, str(stage.host.machine.lab.resolver)
    box.run(f"ip addr add {server}/32 dev lo")
    serve_names(box, {_KNOWN: server})


@pytest.mark.fact("none.loopback-works")
@pytest.mark.shared
def test_processes_of_a_none_mode_container_talk_over_loopback(host: Host, act: Act, claim: Claim) -> None:
    """Within a container on --network none, processes reach each other at 127.0.0.1 by HTTP, TCP, UDP and ping."""
    box = host.container("box", mode="none", command=("httpd", "-f", "-p", str(_PORT), "-h", "/www"))
    act.settle(partial(serving, box.vantage, _PORT))
    over_tcp, over_udp = listen(box.vantage), listen(box.vantage, protocol="udp")

    with act:
        page, *answers = ask(
            http(box.vantage, _LOOPBACK, _PORT),
            tcp(box.vantage, _LOOPBACK, over_tcp.port),
            udp(box.vantage, _LOOPBACK, over_udp.port),
            icmp(box.vantage, _LOOPBACK),
        )
        fetched = box.run("busybox", "timeout", "2", "wget", "-qO-", f"http://{_LOOPBACK}:{_PORT}/")
        claim.show("ip addr show lo in the container", output(box.vantage, "ip", "addr", "show", "lo"))

    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in (page, *answers)),
        equal("page that wget fetches in the container", fetched.out.strip(), "netfacts", vantage=box.name),
    )


@strike("none.loopback-works", "lo is down")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set lo down")


@strike("none.loopback-works", "lo has lost its address")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run(f"ip addr del {_LOOPBACK}/8 dev lo")


@strike("none.loopback-works", "a firewall in the container rejects UDP")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp -j REJECT", net=stage.container("box").vantage.net)
