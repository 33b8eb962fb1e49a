"""Published ports: who reaches them, and at which of the host's addresses."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper, without
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, rules
from netfacts.probe import ask, listen, tcp, udp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

_PORT = 8080
_OTHER_PORT = 8081
_HOST_PORT = 20080
_OTHER_HOST_PORT = 20081


@pytest.mark.fact("publish.basic")
@pytest.mark.shared
def test_published_port_answers_outside_at_every_address_of_the_host(
    host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """A port published with -p H:C answers outside clients at port H of every address of the host.

    client ── lan ── host: port H ── docker0 ── [web]: port C
    """
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)

    with act:
        answers = ask(*(tcp(client, address, _HOST_PORT) for address in host.machine.addresses))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.show("sudo iptables -t nat -S DOCKER", "\n".join(r.text for r in rules(host.engine).of("nat", "DOCKER")))
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(equal(f"who answered {answer.probe}", answer.name, web.name, vantage=client) for answer in answers),
    )


@strike("publish.basic", "the DNAT rule is deleted and docker-proxy is killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@strike("publish.basic", "DOCKER-USER drops what comes from outside")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -i eth0 -j DROP")


@tamper("publish.basic", "the engine ignores -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@pytest.mark.fact("publish.localhost-ip-format")
def test_port_published_on_loopback_is_refused_at_all_other_addresses(
    host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """A port published on 127.0.0.1 answers on the host's loopback, and at no other address of the host.

    client ── lan ── host: 127.0.0.1:H ── docker0 ── [web]
    """
    web = host.container("web", publish={f"{_PORT}/tcp": [("127.0.0.1", _HOST_PORT), _OTHER_HOST_PORT]})
    listen(web.vantage, _PORT)
    outside = [(client, address) for address in host.machine.addresses]
    docker0 = str(interface(host.vantage, host.predefined().bridge).ipv4[0].ip)
    inside = [(host.vantage, address) for address in (*host.machine.addresses, docker0)]
    controls = ask(*(tcp(vantage, address, _OTHER_HOST_PORT) for vantage, address in outside + inside))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in controls))

    with act:
        loopback, *elsewhere = ask(
            tcp(host.vantage, "127.0.0.1", _HOST_PORT),
            *(tcp(vantage, address, _HOST_PORT) for vantage, address in outside + inside),
        )

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.judge(
        seen(loopback, Outcome.CONNECTED),
        equal(f"who answered {loopback.probe}", loopback.name, web.name, vantage=host.name),
        *(seen(answer, Outcome.REFUSED) for answer in elsewhere),
    )


@tamper("publish.localhost-ip-format", "the engine ignores the host address of -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": [_HOST_PORT, _OTHER_HOST_PORT]}}


@strike("publish.localhost-ip-format", "the port's DNAT rule forgets its host address")
def _(stage: Stage) -> None:
    target = f"{stage.container('web').address}:{_PORT}"
    stage.host.engine.run(f"iptables -t nat -A DOCKER -p tcp --dport {_HOST_PORT} -j DNAT --to-destination {target}")


@strike("publish.localhost-ip-format", "the DNAT rule is deleted and docker-proxy is killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@strike("publish.localhost-ip-format", "a program of the host's answers in the container's place")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))
    listen(stage.host.vantage, _HOST_PORT, address="127.0.0.1")


@pytest.mark.fact("publish.unpublished-closed")
@pytest.mark.shared
def test_unpublished_port_is_refused_at_the_hosts_addresses(
    host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """A container's port that is not published refuses outside clients at the host's addresses.

    client ── lan ── host ── docker0 ── [web]: one port published, the other not
    """
    host.require_unserved(_PORT)
    web = host.container("web", publish={f"{_OTHER_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)
    listen(web.vantage, _OTHER_PORT)
    (direct,) = ask(tcp(host.vantage, web.address, _PORT))
    published = ask(*(tcp(client, address, _HOST_PORT) for address in host.machine.addresses))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in (direct, *published)))

    with act:
        answers = ask(*(tcp(client, address, _PORT) for address in host.machine.addresses))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.judge(*(seen(answer, Outcome.REFUSED) for answer in answers))


@tamper("publish.unpublished-closed", "the engine publishes whatever the image exposes")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": request["publish"] | {f"{_PORT}/tcp": _PORT}}


@strike("publish.unpublished-closed", "a program of the host's listens on the same port")
def _(stage: Stage) -> None:
    listen(stage.host.vantage, _PORT)


@pytest.mark.fact("publish.client-source")
@pytest.mark.shared
def test_published_service_sees_the_client_s_address(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """A published service sees the address of an outside client, by TCP and by UDP, and not the host's.

    client ── lan ── host: port H ── DNAT ── docker0 ── [web]: port C
    """
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT, f"{_PORT}/udp": _HOST_PORT})
    for protocol in ("tcp", "udp"):
        listen(web.vantage, _PORT, protocol=protocol)

    with act:
        answers = ask(*(probe(client, host.address, _HOST_PORT) for probe in (tcp, udp)))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.show("sudo iptables-save -t nat", rules(host.engine).text("nat"))
    claim.judge(
        *(source_is(answer, client.machine.address) for answer in answers),
        *(equal(f"who answered {answer.probe}", answer.name, web.name, vantage=client) for answer in answers),
    )


@strike("publish.client-source", "the DNAT rule for TCP is deleted, so that docker-proxy serves")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", "-p tcp")


@strike("publish.client-source", "the DNAT rule for UDP is deleted, so that docker-proxy serves")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", "-p udp")


@strike("publish.client-source", "the host masquerades what it sends to its containers")
def _(stage: Stage) -> None:
    bridge = stage.host.predefined().bridge
    stage.host.engine.run(f"iptables -t nat -A POSTROUTING -o {bridge} -j MASQUERADE")


@strike("publish.client-source", "programs of the host's answer in the container's place")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))
    for protocol in ("tcp", "udp"):
        listen(stage.host.vantage, _HOST_PORT, protocol=protocol)
