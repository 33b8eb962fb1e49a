"""Swarm services on an overlay of two hosts: what their names resolve to, and who answers."""

from __future__ import annotations

import contextlib
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.lab.wait import until
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp, listen, resolve, tcp
from netfacts.topology import Container, Host, Service
from netfacts.verdict import equal, holds, seen
from suites.overlay.gossip import HEARD_S, await_gossip, await_services

_PORT, _NODE_PORT = 8080, 20090

pytestmark = pytest.mark.usefixtures("swarm")


@pytest.mark.fact("swarm.dnsrr")
def test_service_names_resolve_to_the_tasks_of_every_host(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """On every host, the names NAME and tasks.NAME of each dnsrr service give the addresses of all its tasks.

    host [ box, web, store ]══════ mesh ══════[ other, web, store ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    boxes = host.container("box", network=mesh), host2.container("other", mode=mesh.name)
    # What is made on a network that the hosts are still exchanging, one of them may never hear of (moby #52661).
    act.settle(lambda: await_gossip(mesh, *boxes))
    services = [host.service(role, network=mesh, nodes=(host, host2)) for role in ("web", "store")]
    # NAME is told with tasks.NAME; an engine that gives it an address of its own is not waited for.
    act.settle(lambda: await_services({f"tasks.{one.name}": one.running() for one in services}, *boxes))

    with act:
        tasks = {service.name: service.running() for service in services}
        names = _names(services)
        found = [one for box in boxes for one in resolve(box.vantage, *names)]
        answers = ask(*(icmp(box.vantage, ip) for box in boxes for addresses in tasks.values() for ip in addresses))

    claim.show("tasks by service, as the manager tells", "\n".join(f"{name} {ips}" for name, ips in tasks.items()))
    claim.control(*(equal(f"tasks of {name}", len(ips), 2, control=True) for name, ips in tasks.items()))
    claim.judge(
        *(
            equal(f"addresses of {one.name}", sorted(one.addresses), names[one.name], vantage=one.vantage)
            for one in found
        ),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
    )


def _names(services: list[Service]) -> dict[str, list[str]]:
    """Give what is to be resolved, and to which addresses."""
    return {f"{prefix}{service.name}": service.running() for service in services for prefix in ("", "tasks.")}


@tamper("swarm.dnsrr", "the engine ignores --endpoint-mode dnsrr: each service has a virtual address")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"endpoint_mode": "vip"}


@strike("swarm.dnsrr", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")


# -- with a virtual address


@pytest.mark.fact("swarm.vip")
def test_service_name_is_one_address_that_spreads_connections(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """A service's name is one virtual address on every host, and connections to it come to the tasks of both.

    host [ box, web ]══════ mesh ══════[ other, web ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    boxes = host.container("box", network=mesh), host2.container("other", mode=mesh.name)
    act.settle(lambda: await_gossip(mesh, *boxes))
    web = host.service("web", network=mesh, nodes=(host, host2), endpoint_mode="vip")
    act.settle(lambda: _serve(web))
    act.settle(lambda: await_services({f"tasks.{web.name}": web.running()}, *boxes))

    with act:
        addresses, tasks, virtual = web.running(), web.containers(), web.virtual_address
        found = {(box.name, name): one for box in boxes for name, one in _resolved(box, web).items()}
        answers = ask(
            *(tcp(box.vantage, virtual or addresses[0], _PORT) for box in boxes for _ in range(2 * len(tasks)))
        )

    claim.show("docker service inspect: virtual address", virtual)
    claim.control(
        equal(f"tasks of {web.name} that run, and their addresses", (len(tasks), len(addresses)), (2, 2), control=True)
    )
    claim.judge(
        *(
            equal(f"addresses of {web.name}", found[box.name, web.name], [virtual], vantage=box.vantage)
            for box in boxes
        ),
        *(
            equal(
                f"addresses of tasks.{web.name}", found[box.name, f"tasks.{web.name}"], addresses, vantage=box.vantage
            )
            for box in boxes
        ),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(
            equal(
                f"tasks that answered {box.name}",
                {answer.name for answer in answers if answer.probe.vantage is box.vantage},
                {task.name for task in tasks},
                vantage=box.vantage,
            )
            for box in boxes
        ),
    )


def _serve(service: Service) -> None:
    """Have every task listen. An engine that takes over starts others, and nobody has them listen again."""
    service.running()
    for task in service.containers():
        listen(task.vantage, _PORT)


def _resolved(box: Container, service: Service) -> dict[str, list[str]]:
    names = (service.name, f"tasks.{service.name}")
    return {one.name: sorted(one.addresses) for one in resolve(box.vantage, *names)}


@tamper("swarm.vip", "the engine ignores --endpoint-mode vip")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"endpoint_mode": "dnsrr"} if "endpoint_mode" in request else {})


@strike("swarm.vip", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")


@pytest.mark.fact("swarm.ingress")
def test_published_port_of_a_service_is_answered_by_every_node(
    host: Host, host2: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """Both nodes answer at a service's published port, though one has no task; the task does not see the client.

    client ── lan ─┬─ host [ web ]
                   └─ host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web = host.service(
        "web", network=mesh, nodes=(host, host2), endpoint_mode="vip", publish={_NODE_PORT: _PORT}, only_on=host
    )
    act.settle(lambda: _serve(web))
    act.settle(lambda: _await_answer(client, host, host2))

    with act:
        tasks = [task.name for task in web.containers()]
        answers = ask(*(tcp(client, node.address, _NODE_PORT, timeout_s=2.0) for node in (host, host2)))

    ingress = host.predefined("ingress").subnet
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(equal(f"who answered {answer.probe}", [answer.name], tasks, vantage=client) for answer in answers),
        *(
            holds(
                f"source of {answer.probe}, as the task saw it",
                answer.peer != "" and ip_address(answer.peer) in ip_network(ingress),
                answer.peer,
                expected=f"an address in {ingress}",
                vantage=client,
            )
            for answer in answers
        ),
    )


def _await_answer(client: Vantage, *nodes: Host) -> None:
    """Wait until every node answers; no error where one never does: that is for the check to see."""

    def all_answer() -> bool:
        answers = ask(*(tcp(client, node.address, _NODE_PORT, timeout_s=1.0) for node in nodes))
        return all(answer.outcome is Outcome.CONNECTED for answer in answers)

    with contextlib.suppress(LabError):
        until(all_answer, what="every node to answer", timeout_s=HEARD_S)


@tamper("swarm.ingress", "the engine publishes the port in host mode")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"publish_mode": "host"} if "publish_mode" in request else {})


@strike("swarm.ingress", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")
