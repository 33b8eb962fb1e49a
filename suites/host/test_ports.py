"""Ports of containers in host mode: the host's own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import processes, rules, serving, sockets
from netfacts.probe import ask, http, listen, tcp, udp
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds, seen, source_is

_LOOPBACK = "127.0.0.1"
_PORT, _FREE_PORT = 8080, 8081
_HOST_PORT, _OTHER_HOST_PORT = 20080, 20081
_DISCARDED = "Published ports are discarded when using host network mode"


def _httpd(port: int) -> list[str]:
    return ["httpd", "-f", "-p", str(port), "-h", "/www"]


@pytest.mark.fact("host.ports-direct")
def test_host_mode_service_answers_at_the_hosts_address(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """A service in a host-mode container answers outside clients without -p, NAT or docker-proxy.

    client ── lan ── host [web: no namespace of its own]
    """
    host.require_unserved(_PORT)
    before = {*_nat(host), *_proxies(host)}
    web = host.container("web", mode="host", command=_httpd(_PORT))
    serving(web.vantage, _PORT)
    over_tcp, over_udp = listen(web.vantage), listen(web.vantage, protocol="udp")

    with act:
        page, by_tcp, by_udp = ask(
            http(client, host.address, _PORT),
            tcp(client, host.address, over_tcp.port),
            udp(client, host.address, over_udp.port),
        )
        owners = [socket.pids for socket in sockets(host.vantage) if socket.port == _PORT]
        nat = [rule for rule in _nat(host) if rule not in before]
        proxies = [proxy for proxy in _proxies(host) if proxy not in before]

    claim.show("sudo iptables-save -t nat", rules(host.engine).text("nat"))
    claim.judge(
        seen(page, Outcome.CONNECTED),
        equal("page", page.body.strip(), "netfacts", vantage=client),
        source_is(by_tcp, client.machine.address),
        source_is(by_udp, client.machine.address),
        equal(f"processes that listen on the host's port {_PORT}", owners, [(web.pid,)], vantage=host.name),
        equal("published ports", web.ports, [], vantage=web.name),
        equal(f"NAT rules that name port {_PORT}", nat, [], vantage=host.name),
        equal("docker-proxy processes", proxies, [], vantage=host.name),
    )


def _nat(host: Host) -> list[str]:
    return [rule.text for rule in rules(host.engine).rules if rule.table == "nat" and str(_PORT) in rule.text]


def _proxies(host: Host) -> list[str]:
    return [" ".join(process.argv) for process in processes(host.machine, name="docker-proxy")]


@tamper("host.ports-direct", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("host.ports-direct", "the host's firewall drops what comes in")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p tcp -i eth0 -j DROP")


@strike("host.ports-direct", "NAT leads to the port by way of another")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -t nat -I PREROUTING -p tcp --dport {_FREE_PORT} -j REDIRECT --to-ports {_PORT}")


@strike("host.ports-direct", "the host rewrites the client's address")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -t nat -I INPUT -p tcp -j SNAT --to-source {stage.host.address}")


@pytest.mark.fact("host.port-conflict")
@pytest.mark.unbroken
def test_second_host_mode_service_cannot_bind_the_port(host: Host, act: Act, claim: Claim) -> None:
    """Of two host-mode containers on one port the second is started, and its application fails to bind."""
    host.require_unserved(_PORT, _FREE_PORT)
    first = host.container("first", mode="host", command=_httpd(_PORT))
    free = host.container("free", mode="host", command=_httpd(_FREE_PORT))
    second = host.container("second", mode="host", command=_httpd(_PORT), start=False)
    held = serving(first.vantage, _PORT)
    serving(free.vantage, _FREE_PORT)

    with act:
        refused = refusal(partial(host.start, second))
        second.ended()
        owners = [socket.pids for socket in sockets(host.vantage) if socket.port == _PORT]

    claim.show("docker logs second", second.logs())
    claim.judge(
        equal("refusal by the engine", refused, ""),
        equal("state of the second container, and exit status", second.state, "exited 1", vantage=second.name),
        holds(
            "its log",
            "Address already in use" in second.logs(),
            second.logs().strip(),
            expected="Address already in use",
            vantage=second.name,
        ),
        equal(f"processes that listen on the host's port {_PORT}", owners, [held.pids], vantage=host.name),
    )


@tamper("host.port-conflict", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("host.port-conflict", "they are on the bridge and publish the port, so that the engine refuses the second")
def _(request: dict[str, Any]) -> dict[str, Any]:
    port = int(request["command"][request["command"].index("-p") + 1])
    return request | {"mode": "", "publish": {f"{port}/tcp": port}}


@strike("host.port-conflict", "the first container is stopped before the second is started")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("first"))


@pytest.mark.fact("host.publish-ignored")
def test_published_ports_are_discarded_in_host_mode(host: Host, act: Act, claim: Claim) -> None:
    """With --network host the engine discards -p, and says so in a warning; the service is at its own port."""
    host.require_unserved(_PORT, _HOST_PORT, _OTHER_HOST_PORT)
    web = host.container("web", mode="host", publish={f"{_PORT}/tcp": _HOST_PORT}, command=_httpd(_PORT))
    other = host.container("other", publish={f"{_PORT}/tcp": _OTHER_HOST_PORT}, command=_httpd(_PORT))
    act.settle(partial(serving, web.vantage, _PORT))
    act.settle(partial(serving, other.vantage, _PORT))
    (published,) = ask(http(host.vantage, _LOOPBACK, _OTHER_HOST_PORT))
    claim.control(
        seen(published, Outcome.CONNECTED, control=True), equal("its warnings", other.warnings, (), control=True)
    )

    with act:
        web.refresh()
        direct, mapped = ask(http(host.vantage, _LOOPBACK, _PORT), http(host.vantage, _LOOPBACK, _HOST_PORT))
        nat = [rule for rule in rules(host.engine).of("nat", "DOCKER") if str(_HOST_PORT) in rule.text]
        proxies = [proxy for proxy in _proxies(host) if str(_HOST_PORT) in proxy]

    claim.show("warnings of docker create", "\n".join(web.warnings))
    claim.show("sudo iptables-save -t nat", rules(host.engine).text("nat"))
    claim.judge(
        equal("warnings as it is created", web.warnings, (_DISCARDED,), vantage=web.name),
        seen(mapped, Outcome.REFUSED),
        seen(direct, Outcome.CONNECTED),
        equal("published ports", web.ports, [], vantage=web.name),
        equal(f"rules that lead to port {_HOST_PORT}", [rule.text for rule in nat], [], vantage=host.name),
        equal(f"docker-proxies for port {_HOST_PORT}", proxies, [], vantage=host.name),
    )


@tamper("host.publish-ignored", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("host.publish-ignored", "the client keeps -p from the engine")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"publish": {}} if request["mode"] == "host" else {})


@strike("host.publish-ignored", "a relay serves the published port all the same")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -t nat -I OUTPUT -o lo -p tcp --dport {_HOST_PORT} -j REDIRECT --to-ports {_PORT}")


@strike("host.publish-ignored", "the engine has made a DNAT rule for it")
def _(stage: Stage) -> None:
    target = f"{stage.host.address}:{_PORT}"
    stage.host.engine.run(f"iptables -t nat -A DOCKER -p tcp --dport {_HOST_PORT} -j DNAT --to-destination {target}")


@strike("host.publish-ignored", "the service has ended")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("web"))
