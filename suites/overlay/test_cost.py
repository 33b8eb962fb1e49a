"""What an overlay costs: how fast its containers are for each other, beside containers in host mode."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import namespaces
from netfacts.probe import Path, measure, serve_loads
from netfacts.topology import Host
from netfacts.verdict import at_least, at_most, equal, seen
from suites.overlay.gossip import await_gossip

pytestmark = pytest.mark.usefixtures("swarm")

_PORT, _OWN_PORT = 8080, 20081


@pytest.mark.fact("overlay.cost")
def test_overlay_is_slower_than_host_mode(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Between two hosts, round trips over an overlay take longer than in host mode, and throughput is no more.

    host [ web    ]── mesh ── eth0 ══════ eth0 ── mesh ──[ box  ] host2
         [ direct ]────────── eth0 ══════ eth0 ──────────[ near ]
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, box = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    direct, near = host.container("direct", mode="host"), host2.container("near", mode="host")
    urgent = host.engine.private
    serve_loads(web.vantage, _PORT, urgent=urgent)
    serve_loads(direct.vantage, _OWN_PORT, urgent=urgent)
    act.settle(lambda: await_gossip(mesh, web, box))

    with act:
        measured = measure(
            Path("overlay", box.vantage, web.address_on(mesh.name), _PORT),
            Path("host", near.vantage, host.address, _OWN_PORT),
            urgent=urgent,
        )
        own = [namespaces(one.engine.machine, one.pid)["net"] for one in (direct, near)]
        hosts = [namespaces(one.machine, 1)["net"] for one in (host, host2)]

    claim.compare("round trip", measured.round_trip, "overlay", "host")
    claim.compare("throughput", measured.throughput, "overlay", "host")
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in measured.answers),
        at_least("round trip", measured.round_trip, "overlay", "host", 0.9),
        at_most("throughput", measured.throughput, "overlay", "host", 1.1),
        equal("network namespaces of the containers in host mode", own, hosts),
    )


@tamper("overlay.cost", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"mode": ""} if request.get("mode") == "host" else {})


@strike("overlay.cost", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")


@strike("overlay.cost", "the first host's firewall has thousands of rules for TCP to the host itself")
def _(stage: Stage) -> None:
    many = [f"-A MANY -s 192.0.2.1/32 -p tcp -m tcp --dport {port} -j DROP" for port in range(1, 5001)]
    text = "\n".join(["*filter", ":MANY -", *many, "-A INPUT -p tcp -j MANY", "COMMIT", ""])
    stage.host.engine.run("iptables-restore --noflush", text=text)


@strike("overlay.cost", "the first host shapes what the container in host mode sends")
def _(stage: Stage) -> None:
    host = stage.host.vantage
    host.run("tc qdisc add dev eth0 root handle 1: htb default 2")
    host.run("tc class add dev eth0 parent 1: classid 1:1 htb rate 200mbit")
    host.run("tc class add dev eth0 parent 1: classid 1:2 htb rate 30gbit")
    host.run(f"tc filter add dev eth0 parent 1: protocol ip u32 match ip sport {_OWN_PORT} 0xffff flowid 1:1")
