"""How containers get at each other without a common network: by addresses of their host."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper, without
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, links, rules
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

_PORT = 8080
_HOST_PORT, _CLOSED_PORT = 20080, 20081


@pytest.mark.fact("isolation.need-shared-net")
def test_published_port_is_reached_without_a_common_network(host: Host, act: Act, claim: Claim) -> None:
    """A container reaches another with which it shares no network by a port that this one publishes on the host.

    box ── one ── host: port H ── two ── [web]
    """
    host.require_unserved(_HOST_PORT, _CLOSED_PORT)
    one, two = host.network("one"), host.network("two")
    web = host.container("web", network=two, publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)
    box = host.container("box", network=one)

    with act:
        for container in (web, box):
            container.refresh()
        gateway = str(interface(host.vantage, two.bridge).ipv4[0].ip)
        *published, closed = ask(
            tcp(box.vantage, host.address, _HOST_PORT),
            tcp(box.vantage, gateway, _HOST_PORT),
            tcp(box.vantage, host.address, _CLOSED_PORT),
        )
        claim.show("sudo iptables-save", rules(host.engine).text())

    claim.judge(
        equal("networks that both are on", set(web.networks) & set(box.networks), set()),
        *(seen(answer, Outcome.CONNECTED) for answer in published),
        *(equal(f"who answered {answer.probe}", answer.name, web.name, vantage=box.name) for answer in published),
        seen(closed, Outcome.REFUSED),
    )


@tamper("isolation.need-shared-net", "the engine ignores -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@strike("isolation.need-shared-net", "the port is unpublished behind the engine's back")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@strike("isolation.need-shared-net", "the container is connected to the other's network as well")
def _(stage: Stage) -> None:
    stage.host.connect(stage.network("two"), stage.container("box"))


@strike("isolation.need-shared-net", "the host refuses what comes from containers")
def _(stage: Stage) -> None:
    _reject(stage)


@pytest.mark.fact("isolation.gateway-leak")
@pytest.mark.shared
def test_gateway_of_another_network_answers(host: Host, act: Act, claim: Claim) -> None:
    """From one bridge network the gateway address of another one answers, as an address of the host.

    box ── one ── host ── two
    """
    one, two = host.network("one"), host.network("two")
    box = host.container("box", network=one)
    port = listen(host.vantage).port

    with act:
        gateway = two.gateway
        ping, answer = ask(icmp(box.vantage, gateway), tcp(box.vantage, gateway, port))
        having = [link.name for link in links(host.vantage) if gateway in [str(end.ip) for end in link.ipv4]]
        claim.show("INPUT and FORWARD", rules(host.engine).text("filter"))

    claim.judge(
        equal(f"links of the host that have {gateway}", having, [two.bridge], vantage=host.vantage),
        *(seen(one, Outcome.CONNECTED) for one in (ping, answer)),
        equal(f"who answered {answer.probe}", answer.name, host.name, vantage=box.name),
        source_is(answer, box.address),
    )


@strike("isolation.gateway-leak", "the host refuses what comes from containers")
def _(stage: Stage) -> None:
    _reject(stage)


@strike("isolation.gateway-leak", "the host has no such address any more")
def _(stage: Stage) -> None:
    bridge = interface(stage.host.vantage, stage.network("two").bridge)
    (address,) = bridge.ipv4
    stage.host.machine.netlink.do(
        "addr", "del", index=bridge.index, address=str(address.ip), prefixlen=address.network.prefixlen
    )


@strike("isolation.gateway-leak", "containers are masqueraded before the host itself")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -t nat -I INPUT -s {stage.container('box').address} -j SNAT --to 203.0.113.9")


def _reject(stage: Stage) -> None:
    for link in links(stage.host.vantage):
        if link.kind == "bridge":
            stage.host.engine.run(f"iptables -I INPUT -i {link.name} -j REJECT")
