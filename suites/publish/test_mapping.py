"""What -p and -P map to what: protocols, several ports, ports of the engine's choice."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper, without
from netfacts.engine.image import EXPOSED
from netfacts.model.verdict import Outcome
from netfacts.observe import ephemeral_ports
from netfacts.probe import ask, listen, tcp, udp
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen

_PORT, _OTHER_PORT = EXPOSED
_HOST_PORT, _OTHER_HOST_PORT = 20080, 20081


@pytest.mark.fact("publish.udp")
def test_udp_suffix_publishes_udp_and_not_tcp(host: Host, act: Act, claim: Claim) -> None:
    """The suffix /udp publishes a UDP port, and no TCP port of the same number."""
    web = host.container("web", publish={f"{_PORT}/udp": _HOST_PORT})
    for protocol in ("udp", "tcp"):
        listen(web.vantage, _PORT, protocol=protocol)
    direct = ask(udp(host.vantage, web.address, _PORT), tcp(host.vantage, web.address, _PORT))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in direct))

    with act:
        addresses = ("127.0.0.1", host.address)
        datagrams = ask(*(udp(host.vantage, address, _HOST_PORT) for address in addresses))
        streams = ask(*(tcp(host.vantage, address, _HOST_PORT) for address in addresses))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in datagrams),
        *(equal(f"who answered {answer.probe}", answer.name, web.name, vantage=host.name) for answer in datagrams),
        *(seen(answer, Outcome.REFUSED) for answer in streams),
    )


@tamper("publish.udp", "the engine ignores the suffix")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": _HOST_PORT}}


@tamper("publish.udp", "the engine publishes both protocols")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/{protocol}": _HOST_PORT for protocol in ("tcp", "udp")}}


@strike("publish.udp", "the DNAT rule is deleted and docker-proxy is killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@strike("publish.udp", "a program of the host's answers in the container's place")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))
    listen(stage.host.vantage, _HOST_PORT, protocol="udp")


@pytest.mark.fact("publish.multiple")
def test_each_p_flag_has_a_mapping_of_its_own(host: Host, act: Act, claim: Claim) -> None:
    """Several -p flags publish several ports, and each leads to its own port of the container."""
    mappings = {_PORT: _HOST_PORT, _OTHER_PORT: _OTHER_HOST_PORT}
    web = host.container("web", publish={f"{inside}/tcp": outside for inside, outside in mappings.items()})
    for inside in mappings:
        listen(web.vantage, inside, name=f"port {inside}")

    with act:
        answers = ask(*(tcp(host.vantage, host.address, outside) for outside in mappings.values()))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(
            equal(f"which port of the container answered {answer.probe}", answer.name, f"port {inside}")
            for inside, answer in zip(mappings, answers, strict=True)
        ),
    )


@tamper("publish.multiple", "the engine heeds the last -p only")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_OTHER_PORT}/tcp": _OTHER_HOST_PORT}}


@tamper("publish.multiple", "the engine leads both host ports to one port of the container")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": [_HOST_PORT, _OTHER_HOST_PORT]}}


@strike("publish.multiple", "the DNAT rules are deleted and the docker-proxies are killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@pytest.mark.fact("publish.ip-random-format")
def test_port_published_on_loopback_without_a_number_gets_a_free_one(host: Host, act: Act, claim: Claim) -> None:
    """A port published with -p 127.0.0.1::C gets a free port of the engine's choice, on 127.0.0.1 only."""
    web = host.container("web", publish={f"{_PORT}/tcp": ("127.0.0.1",)})
    listen(web.vantage, _PORT)
    free = ephemeral_ports(host.vantage)

    with act:
        loopback = ask(*(tcp(host.vantage, "127.0.0.1", binding.host_port) for binding in web.ports))
        elsewhere = ask(*(tcp(host.vantage, host.address, binding.host_port) for binding in web.ports))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.judge(
        equal("host addresses", [binding.host_address for binding in web.ports], ["127.0.0.1"]),
        *(
            holds("host port", binding.host_port in free, binding.host_port, expected=f"{free[0]} to {free[-1]}")
            for binding in web.ports
        ),
        *(seen(answer, Outcome.CONNECTED) for answer in loopback),
        *(equal(f"who answered {answer.probe}", answer.name, web.name, vantage=host.name) for answer in loopback),
        *(seen(answer, Outcome.REFUSED) for answer in elsewhere),
    )


@tamper("publish.ip-random-format", "the engine ignores the host address")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": None}}


@tamper("publish.ip-random-format", "the engine takes a fixed port")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": ("127.0.0.1", _HOST_PORT)}}


@strike("publish.ip-random-format", "the DNAT rule is deleted and docker-proxy is killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@strike("publish.ip-random-format", "a program of the host's answers in the container's place")
def _(stage: Stage) -> None:
    web = stage.container("web")
    stage.unpublish(web)
    listen(stage.host.vantage, web.host_port(_PORT), address="127.0.0.1")


@pytest.mark.fact("publish.P-random")
@pytest.mark.shared
def test_capital_p_publishes_every_exposed_port_on_a_free_host_port(host: Host, act: Act, claim: Claim) -> None:
    """A container run with -P has every exposed port published, each on a free host port."""
    web = host.container("web", publish_all=True)
    for port in EXPOSED:
        listen(web.vantage, port, name=f"port {port}")
    free = ephemeral_ports(host.vantage)

    with act:
        bindings = [binding for binding in web.ports if binding.host_address == "0.0.0.0"]
        answers = ask(*(tcp(host.vantage, host.address, binding.host_port) for binding in bindings))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.judge(
        equal("published ports", {binding.container_port for binding in web.ports}, set(EXPOSED)),
        equal("ports published by IPv4", sorted(binding.container_port for binding in bindings), sorted(EXPOSED)),
        *(
            holds("host port", binding.host_port in free, binding.host_port, expected=f"{free[0]} to {free[-1]}")
            for binding in web.ports
        ),
        *(
            equal(f"who answered {answer.probe}", answer.name, f"port {binding.container_port}")
            for binding, answer in zip(bindings, answers, strict=True)
        ),
    )


@tamper("publish.P-random", "the engine ignores -P")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish_all")


@tamper("publish.P-random", "the engine publishes each port on the same number")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish_all": False, "publish": {f"{port}/tcp": port for port in EXPOSED}}


@tamper("publish.P-random", "the engine publishes by IPv6 only")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish_all": False, "publish": {f"{port}/tcp": ("::",) for port in EXPOSED}}


@strike("publish.P-random", "the DNAT rules are deleted and the docker-proxies are killed")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))
