"""Host mode beside the bridge: how fast a service is for a client outside."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import namespaces
from netfacts.probe import Path, measure, serve_loads
from netfacts.topology import Host
from netfacts.verdict import at_least, at_most, different, equal, seen

_PORT = 8080
_HOST_PORT, _OWN_PORT = 20080, 20081


@pytest.mark.fact("host.performance")
def test_host_mode_is_no_slower_than_a_published_port(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """For clients outside a service in host mode is no slower than one that a bridge container publishes.

    client ── lan ── host [direct] ── docker0 ── [bridged]
    """
    host.require_unserved(_HOST_PORT, _OWN_PORT)
    direct = host.container("direct", mode="host")
    bridged = host.container("bridged", publish={f"{_PORT}/tcp": host.unguarded(_HOST_PORT)})
    urgent = host.engine.private
    # On somebody's host at one address alone: whoever reaches another is not to be served.
    address = "0.0.0.0" if host.engine.private else host.address
    serve_loads(direct.vantage, _OWN_PORT, address=address, urgent=urgent)
    serve_loads(bridged.vantage, _PORT, urgent=urgent)

    with act:
        measured = measure(
            Path("host", client, host.address, _OWN_PORT),
            Path("bridge", client, host.address, _HOST_PORT),
            urgent=urgent,
        )
        own, theirs, hosts = (namespaces(host.machine, pid)["net"] for pid in (direct.pid, bridged.pid, 1))

    claim.compare("round trip", measured.round_trip, "host", "bridge")
    claim.compare("throughput", measured.throughput, "host", "bridge")
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in measured.answers),
        at_most("round trip", measured.round_trip, "host", "bridge", 1.0, vantage=client),
        at_least("throughput", measured.throughput, "host", "bridge", 0.9, vantage=client),
        equal("network namespace of the service in host mode", own, hosts, vantage=direct.name),
        different("network namespace of the one on the bridge", theirs, hosts, vantage=bridged.name),
    )


@tamper("host.performance", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("host.performance", "the engine takes --network host for a bridge, and publishes the service's port")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "", "publish": request["publish"] or {f"{_OWN_PORT}/tcp": _OWN_PORT}}


@tamper("host.performance", "the engine puts every container into the host's namespace")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "host", "publish": {}}


@strike("host.performance", "the service is on a bridge, behind docker-proxy alone")
def _(stage: Stage) -> None:
    other = _OWN_PORT + 1
    proxied = stage.host.container("proxied", publish={f"{_PORT}/tcp": other})
    serve_loads(proxied.vantage, _PORT, urgent=True)
    stage.delete_rules("nat", "DOCKER", f" {proxied.address}:")
    stage.host.engine.run(f"iptables -t nat -I PREROUTING -p tcp --dport {_OWN_PORT} -j REDIRECT --to-ports {other}")


@strike("host.performance", "the host's firewall has thousands of rules for what comes to the host itself")
def _(stage: Stage) -> None:
    many = [f"-A INPUT -s 192.0.2.1/32 -p tcp -m tcp --dport {port} -j DROP" for port in range(1, 5001)]
    text = "\n".join(["*filter", *many, "COMMIT", ""])
    stage.host.engine.run("iptables-restore --noflush", text=text)


@strike("host.performance", "the host shapes what the service in host mode sends")
def _(stage: Stage) -> None:
    host = stage.host.vantage
    host.run("tc qdisc add dev eth0 root handle 1: htb default 2")
    host.run("tc class add dev eth0 parent 1: classid 1:1 htb rate 500mbit")
    host.run("tc class add dev eth0 parent 1: classid 1:2 htb rate 30gbit")
    host.run(f"tc filter add dev eth0 parent 1: protocol ip u32 match ip sport {_OWN_PORT} 0xffff flowid 1:1")
