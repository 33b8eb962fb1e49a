"""docker-proxy: how many there are, and what they carry."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import capture, processes, sysctl
from netfacts.probe import ask, listen, tcp, udp
from netfacts.topology import Host, PortBinding
from netfacts.verdict import equal, holds, seen, source_is

_PORT, _OTHER_PORT = 8080, 8081
_HOST_PORT, _OTHER_HOST_PORT = 20080, 20081


@pytest.mark.fact("proxy.per-mapping")
def test_host_runs_one_docker_proxy_per_binding(host: Host, act: Act, claim: Claim) -> None:
    """The host runs one docker-proxy per binding of address, protocol and port."""
    others = {proxy.pid for proxy in processes(host.machine, name="docker-proxy")}
    web = host.container(
        "web",
        publish={
            f"{_PORT}/tcp": _HOST_PORT,
            f"{_PORT}/udp": _HOST_PORT,
            f"{_OTHER_PORT}/tcp": ("127.0.0.1", _OTHER_HOST_PORT),
        },
    )
    # Without bindings there is nothing that a docker-proxy could be counted for.
    mapped = {(binding.protocol, binding.container_port) for binding in web.ports}
    wanted = {("tcp", _PORT), ("udp", _PORT), ("tcp", _OTHER_PORT)}
    claim.control(equal("ports that docker port lists", mapped, wanted, vantage=web.name, control=True))

    with act:
        proxies = [one for one in processes(host.machine, name="docker-proxy") if one.pid not in others]

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.show("pgrep -a docker-proxy", "\n".join(f"{proxy.pid} {' '.join(proxy.argv)}" for proxy in proxies))
    served = [
        PortBinding(
            proxy.option("-proto"),
            int(proxy.option("-container-port")),
            proxy.option("-host-ip"),
            int(proxy.option("-host-port")),
        )
        for proxy in proxies
    ]
    claim.judge(
        equal(
            "bindings that the docker-proxies serve, as docker port would list them",
            sorted(map(str, served)),
            sorted(map(str, web.ports)),
            vantage=host.name,
        )
    )


flags("proxy.per-mapping", "--userland-proxy=false")


@strike("proxy.per-mapping", "one docker-proxy is killed")
def _(stage: Stage) -> None:
    machine = stage.host.machine
    machine.kill(processes(machine, name="docker-proxy")[0].pid)


@pytest.mark.fact("proxy.handles-traffic")
@pytest.mark.own_lab
def test_docker_proxy_serves_loopback_and_dnat_serves_outside(
    host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """With docker-proxy killed, a published port is dead on the host's loopback and alive for outside clients.

    client ── lan ── host: port H ── DNAT ── docker0 ── [web]
                     127.0.0.1:H ── docker-proxy ──┘
    """
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)
    ways = (tcp(host.vantage, "127.0.0.1", _HOST_PORT), tcp(client, host.address, _HOST_PORT))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in ask(*ways)))

    with act:
        proxies = processes(host.machine, name="docker-proxy")
        host.machine.kill(*(proxy.pid for proxy in proxies))
        loopback, outside = ask(*ways)

    claim.show("sudo kill …", "\n".join(f"{proxy.pid} {' '.join(proxy.argv)}" for proxy in proxies))
    claim.judge(
        seen(loopback, Outcome.REFUSED),
        seen(outside, Outcome.CONNECTED),
        equal(f"who answered {outside.probe}", outside.name, web.name, vantage=client),
        source_is(outside, client.machine.address),
    )


@strike("proxy.handles-traffic", "the DNAT rule is deleted, too")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f" {stage.container('web').address}:")


@strike("proxy.handles-traffic", "a program of the host's serves outside clients in DNAT's place")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))
    listen(stage.host.vantage, _HOST_PORT, address=stage.host.address)


@strike("proxy.handles-traffic", "DNAT serves the host's loopback, too")
def _(stage: Stage) -> None:
    target = f"{stage.container('web').address}:{_PORT}"
    stage.host.engine.run(
        f"iptables -t nat -A OUTPUT -d 127.0.0.1 -p tcp --dport {_HOST_PORT} -j DNAT --to-destination {target}"
    )
    bridge = stage.host.predefined().bridge
    stage.host.engine.run(f"iptables -t nat -A POSTROUTING -s 127.0.0.1 -o {bridge} -j MASQUERADE")
    stage.host.machine.sysctl(**{f"net.ipv4.conf.{bridge}.route_localnet": "1"})


@pytest.mark.fact("proxy.off-loopback")
@pytest.mark.engine("--userland-proxy=false")
def test_published_port_answers_on_loopback_without_docker_proxy(host: Host, act: Act, claim: Claim) -> None:
    """With --userland-proxy=false there is no docker-proxy, and a published port still answers at 127.0.0.1."""
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)
    bridge = host.predefined().bridge

    with act:
        proxies = processes(host.machine, name="docker-proxy")
        (answer,) = ask(tcp(host.vantage, "127.0.0.1", _HOST_PORT))

    parameter = f"net.ipv4.conf.{bridge}.route_localnet"
    claim.show(f"sysctl {parameter}", sysctl(host.vantage, parameter))
    claim.judge(
        equal("docker-proxy processes", len(proxies), 0, vantage=host.name),
        seen(answer, Outcome.CONNECTED),
        equal(f"who answered {answer.probe}", answer.name, web.name, vantage=host.name),
    )


flags("proxy.off-loopback", "--userland-proxy=true")


@strike("proxy.off-loopback", "route_localnet is switched off")
def _(stage: Stage) -> None:
    bridge = stage.host.predefined().bridge
    stage.host.machine.sysctl(**{f"net.ipv4.conf.{bridge}.route_localnet": "0"})


@strike("proxy.off-loopback", "the DNAT rule is deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f" {stage.container('web').address}:")


@pytest.mark.fact("proxy.use-listen-fd")
def test_docker_proxy_is_handed_its_socket(host: Host, act: Act, claim: Claim) -> None:
    """docker-proxy is started with -use-listen-fd: dockerd has opened the socket for it."""
    host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})

    with act:
        proxies = processes(host.machine, name="docker-proxy")

    commands = [" ".join(proxy.argv) for proxy in proxies]
    claim.show("pgrep -a docker-proxy", "\n".join(commands))
    handed = [command for command in commands if "-use-listen-fd" in command.split()]
    claim.judge(
        holds(
            "command lines of docker-proxy",
            bool(commands) and handed == commands,
            commands,
            expected="each with -use-listen-fd",
            vantage=host.name,
        )
    )


@strike("proxy.use-listen-fd", "docker-proxy looks as if newer engines had started it", engines="<28")
def _(stage: Stage) -> None:
    machine = stage.host.machine
    machine.kill(*(proxy.pid for proxy in processes(machine, name="docker-proxy")))
    stand_in = "(exec -a docker-proxy sh -c 'sleep 60; true' -use-listen-fd) </dev/null >/dev/null 2>&1 &"
    stage.host.vantage.run(f'bash -c "{stand_in}"')


@strike("proxy.use-listen-fd", "docker-proxy is killed", engines=">=28")
def _(stage: Stage) -> None:
    machine = stage.host.machine
    machine.kill(*(proxy.pid for proxy in processes(machine, name="docker-proxy")))


@pytest.mark.fact("proxy.udp-source")
def test_udp_port_answers_a_neighbour_from_the_address_that_it_has_asked(host: Host, act: Act, claim: Claim) -> None:
    """A container that asks a UDP port of its host, published by another, is answered from the host's address.

    box ── docker0 ── host: port H ── docker-proxy ── docker0 ── web
    """
    web = host.container("web", publish={f"{_PORT}/udp": _HOST_PORT, f"{_PORT}/tcp": _HOST_PORT})
    for protocol in ("tcp", "udp"):
        listen(web.vantage, _PORT, protocol=protocol)
    box = host.container("box")
    ways = (
        udp(box.vantage, web.address, _PORT),
        # DNAT spares the host's loopback, so that it is docker-proxy who answers.
        udp(host.vantage, "127.0.0.1", _HOST_PORT),
        tcp(box.vantage, host.address, _HOST_PORT),
    )
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in ask(*ways)))

    with act, capture(box.vantage, "eth0") as heard:
        (answer,) = ask(udp(box.vantage, host.address, _HOST_PORT))

    answers = [packet for packet in heard.packets if packet.source_port == _HOST_PORT and packet.protocol == "udp"]
    claim.show(f"sudo tcpdump -n -i eth0 udp port {_HOST_PORT}, in {box.name}", heard.text(answers))
    claim.judge(
        equal("where answers come from", {packet.source for packet in answers}, {host.address}, vantage=box.name),
        seen(answer, Outcome.CONNECTED),
        equal(f"who answered {answer.probe}", answer.name, web.name, vantage=box.name),
    )


@tamper("proxy.udp-source", "the engine publishes the port at two addresses, each by itself", engines="<28")
def _(request: dict[str, Any]) -> dict[str, Any]:
    at_each = {
        port: [(address, bound) for address in ("198.51.100.10", "127.0.0.1")]
        for port, bound in request.get("publish", {}).items()
    }
    return request | {"publish": at_each}


@strike("proxy.udp-source", "docker-proxy is killed", engines=">=28")
def _(stage: Stage) -> None:
    machine = stage.host.machine
    machine.kill(*(proxy.pid for proxy in processes(machine, name="docker-proxy")))


@strike("proxy.udp-source", "the host takes no UDP from containers", engines=">=28")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -I INPUT -i {stage.host.predefined().bridge} -p udp -j DROP")
