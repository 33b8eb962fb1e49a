"""Reachability that an option of the daemon or of a network decides."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper, without
from netfacts.model.verdict import Outcome
from netfacts.observe import rules, sysctl
from netfacts.probe import ask, icmp, listen, tcp, udp
from netfacts.topology import Host
from netfacts.verdict import equal, seen

_PORT = 8080
_HOST_PORT = 20080
_MODE = "com.docker.network.bridge.gateway_mode_ipv4"
_BRIDGED = "net.bridge.bridge-nf-call-iptables"


@pytest.mark.fact("isolation.userland-off")
@pytest.mark.engine("--userland-proxy=false")
def test_published_port_answers_other_networks_without_docker_proxy(host: Host, act: Act, claim: Claim) -> None:
    """With --userland-proxy=false a container reaches another network's published port at the host's address.

    box ── one ── host: port H ── two ─┬─ web
                                       └─ neighbour
    """
    two = host.network("two")
    web = host.container("web", network=two, publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)
    neighbour, box = host.container("neighbour", network=two), host.container("box", network=host.network("one"))
    near = ask(
        tcp(neighbour.vantage, host.address, _HOST_PORT),
        tcp(host.vantage, host.address, _HOST_PORT),
        icmp(box.vantage, host.address),
    )
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        (answer,) = ask(tcp(box.vantage, host.address, _HOST_PORT))

    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(
        seen(answer, Outcome.CONNECTED), equal(f"who answered {answer.probe}", answer.name, web.name, vantage=box.name)
    )


@strike("isolation.userland-off", "DOCKER-USER accepts what comes to containers", engines="<29")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -j ACCEPT")


flags("isolation.userland-off", "--userland-proxy=true", engines="<29")


@strike("isolation.userland-off", "DOCKER-USER drops what comes to the container", engines=">=29")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -I DOCKER-USER -d {stage.container('web').address} -j DROP")


@pytest.mark.fact("gwmode.routed")
def test_routed_mode_opens_published_ports_to_other_networks(host: Host, act: Act, claim: Claim) -> None:
    """Containers of other bridge networks reach a published port of a network whose gateway mode is routed.

    box ── docker0 ── host ── open ── web
    """
    network = host.network("open", options={_MODE: "routed"})
    web = host.container("web", network=network, publish={f"{_PORT}/tcp": ("0.0.0.0",)})
    listen(web.vantage, _PORT)
    box = host.container("box")
    near = ask(tcp(host.vantage, web.address, _PORT), icmp(box.vantage, host.address))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        (answer,) = ask(tcp(box.vantage, web.address, _PORT))

    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(
        seen(answer, Outcome.CONNECTED), equal(f"who answered {answer.probe}", answer.name, web.name, vantage=box.name)
    )


@tamper("gwmode.routed", "the engine ignores the mode", engines="!=27.*")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "options")


@tamper("gwmode.routed", "the engine ignores -p", engines="!=27.*")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@strike("gwmode.routed", "DOCKER-USER accepts what comes to containers", engines=">=27,<28")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -j ACCEPT")


@pytest.mark.fact("iptables.off-same-bridge")
@pytest.mark.engine("--iptables=false")
@pytest.mark.sysctl({_BRIDGED: "0"})
def test_dropping_forward_chain_does_not_part_one_bridge(host: Host, act: Act, claim: Claim) -> None:
    """With --iptables=false and FORWARD dropping, containers of one bridge network reach each other.

    box ─┬─ net ── host: FORWARD drops
    web ─┘
    """
    host.engine.run("iptables -P FORWARD DROP")

    with act:
        network = host.network("net")
        web, box = host.container("web", network=network), host.container("box", network=network)
        for protocol in ("tcp", "udp"):
            listen(web.vantage, _PORT, protocol=protocol)
        answers = ask(
            tcp(box.vantage, web.address, _PORT), udp(box.vantage, web.address, _PORT), icmp(box.vantage, web.address)
        )

    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.show(f"sysctl {_BRIDGED}", sysctl(host.vantage, _BRIDGED))
    claim.judge(*(seen(answer, Outcome.CONNECTED) for answer in answers))


@strike("iptables.off-same-bridge", "bridged frames meet iptables")
def _(stage: Stage) -> None:
    stage.host.machine.sysctl(**{_BRIDGED: "1"})
