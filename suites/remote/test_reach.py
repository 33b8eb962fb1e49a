"""What another machine reaches: of the host, and of its containers."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import AddRoute, LiveLab
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage, of_machine
from netfacts.model.verdict import Outcome
from netfacts.observe import Route, interface, output, routes, rules
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

_PORT = 8080
_HOST_PORT = 20080


# In its own lab: a kernel says "unreachable" to the same asker five times in a row, then once a second.
@pytest.mark.own_lab
@pytest.mark.fact("remote.no-container-addr")
def test_container_address_is_unreachable_from_another_machine(
    host: Host, client: Vantage, live: LiveLab, act: Act, claim: Claim
) -> None:
    """Another machine cannot reach a container's address, as nothing on the way has a route to it.

    client ── far ── router ── lan ── host ── docker0 ── [web]
    """
    web = host.container("web")
    listen(web.vantage, _PORT)
    router = of_machine(live.lab["router"])
    near = ask(icmp(host.vantage, web.address), tcp(host.vantage, web.address, _PORT), icmp(client, host.address))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        known = routes(router)
        answers = ask(icmp(client, web.address), tcp(client, web.address, _PORT))

    claim.show("ip route, on the client", output(client, "ip", "route"))
    claim.show("ip route, on the router", output(router, "ip", "route"))
    claim.judge(
        *(seen(answer, Outcome.UNREACHABLE) for answer in answers),
        equal(f"routes of the router to {web.address}", _leading_to(web.address, known), [], vantage=router),
    )


def _leading_to(address: str, known: list[Route]) -> list[str]:
    prefixes = [route.destination.replace("default", "0.0.0.0/0") for route in known]
    return [prefix for prefix in prefixes if ip_address(address) in ip_network(prefix)]


@strike("remote.no-container-addr", "the router has a route to the bridge, and the host lets everything in")
def _(stage: Stage) -> None:
    stage.machine("router").route(stage.host.predefined().subnet, stage.host.address)
    _let_everything_in(stage)


def _let_everything_in(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -j ACCEPT")
    # From 28 on, the raw table drops whatever comes to a container's address from another interface.
    stage.host.engine.run("iptables -t raw -F PREROUTING")


@pytest.mark.own_segment
@pytest.mark.fact("remote.routed-unpublished")
def test_route_through_the_host_does_not_open_unpublished_ports(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """Even with a route through the host, an outside machine can't ping a container or reach an unpublished port.

    client ── lan ── host ── docker0 ── [web]
    """
    web = host.container("web")
    listen(web.vantage, _PORT)
    bridge = host.predefined()
    docker0 = str(interface(host.vantage, bridge.bridge).ipv4[0].ip)
    add_route(bridge.subnet, host.address)
    near = ask(icmp(host.vantage, web.address), tcp(host.vantage, web.address, _PORT), icmp(client, docker0))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        answers = ask(icmp(client, web.address), tcp(client, web.address, _PORT))

    claim.show("ip route, on the client", output(client, "ip", "route"))
    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(*(seen(answer, Outcome.TIMED_OUT) for answer in answers))


@strike("remote.routed-unpublished", "the policy of FORWARD is ACCEPT", engines="<28")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -P FORWARD ACCEPT")


@strike("remote.routed-unpublished", "DOCKER-USER accepts everything, and the raw table drops nothing")
def _(stage: Stage) -> None:
    _let_everything_in(stage)


@pytest.mark.own_segment
@pytest.mark.fact("remote.routed-unpublished-accept")
@pytest.mark.sysctl({"net.ipv4.ip_forward": "1"})
def test_unpublished_ports_stay_closed_where_forward_accepts(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """Where forwarding was on already, and FORWARD accepts, a route through the host opens no unpublished port.

    client ── lan ── host ── docker0 ── [web]
    """
    web = host.container("web")
    listen(web.vantage, _PORT)
    bridge = host.predefined()
    docker0 = str(interface(host.vantage, bridge.bridge).ipv4[0].ip)
    add_route(bridge.subnet, host.address)
    near = ask(icmp(host.vantage, web.address), tcp(host.vantage, web.address, _PORT), icmp(client, docker0))
    policy = rules(host.engine).chains["filter", "FORWARD"]
    claim.control(
        *(seen(answer, Outcome.CONNECTED, control=True) for answer in near),
        equal("policy of FORWARD", policy, "ACCEPT", control=True),
    )

    with act:
        answers = ask(icmp(client, web.address), tcp(client, web.address, _PORT))

    claim.show("ip route, on the client", output(client, "ip", "route"))
    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(*(seen(answer, Outcome.TIMED_OUT) for answer in answers))


@strike("remote.routed-unpublished-accept", "the policy of FORWARD is DROP", engines="<28")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -P FORWARD DROP")


@strike("remote.routed-unpublished-accept", "no rule drops what comes to containers", engines=">=28")
def _(stage: Stage) -> None:
    stage.delete_rules("filter", "DOCKER", "-j DROP")
    stage.host.engine.run("iptables -t raw -F PREROUTING")


@pytest.mark.own_segment
@pytest.mark.fact("remote.routed-published")
def test_route_through_the_host_leads_to_published_ports(
    host: Host, client: Vantage, add_route: AddRoute, act: Act, claim: Claim
) -> None:
    """With a route through the host, an outside machine reaches a published port at the container's address.

    client ── lan ── host ── docker0 ── [web]
    """
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)
    bridge = host.predefined()
    docker0 = str(interface(host.vantage, bridge.bridge).ipv4[0].ip)
    add_route(bridge.subnet, host.address)
    near = ask(icmp(client, docker0), tcp(client, host.address, _HOST_PORT))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))

    with act:
        (answer,) = ask(tcp(client, web.address, _PORT))

    claim.show("ip route, on the client", output(client, "ip", "route"))
    claim.show("sudo iptables-save", rules(host.engine).text())
    claim.judge(seen(answer, Outcome.CONNECTED), source_is(answer, client.machine.address))


@strike("remote.routed-published", "the port's ACCEPT rule is deleted", engines="<28")
def _(stage: Stage) -> None:
    stage.delete_rules("filter", "DOCKER", f"-d {stage.container('web').address}/32")


flags("remote.routed-published", "--allow-direct-routing", engines=">=28.2")


@strike("remote.routed-published", "the raw table drops nothing", engines=">=28")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -t raw -F PREROUTING")


@pytest.mark.fact("remote.host-reachable")
@pytest.mark.shared
def test_host_and_its_published_ports_answer_another_machine(
    host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """Another machine reaches the host's own address and the ports that are published there.

    client ── far ── router ── lan ── host ── docker0 ── [web]
    """
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)

    with act:
        ping, answer = ask(icmp(client, host.address), tcp(client, host.address, _HOST_PORT))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.judge(
        seen(ping, Outcome.CONNECTED),
        seen(answer, Outcome.CONNECTED),
        equal(f"who answered {answer.probe}", answer.name, web.name, vantage=client),
        source_is(answer, client.machine.address),
    )


@strike("remote.host-reachable", "the host's firewall drops what comes to the host itself")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -i eth0 -j DROP")


@strike("remote.host-reachable", "the host's firewall drops what comes to its containers")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -i eth0 -j DROP")


@strike("remote.host-reachable", "the router forgets how to forward")
def _(stage: Stage) -> None:
    stage.machine("router").sysctl(**{"net.ipv4.ip_forward": "0"})
