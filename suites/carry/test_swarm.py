"""A swarm whose engines are replaced, the manager's first."""

from __future__ import annotations

import contextlib

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from fixtures.takeover import Takeover
from netfacts.lab.wait import until
from netfacts.model.errors import NetfactsError
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp, query, resolve
from netfacts.topology import Container, Host, Service
from netfacts.verdict import equal, holds, seen
from suites.overlay.gossip import all_answer

pytestmark = [pytest.mark.takeover, pytest.mark.usefixtures("swarm")]

_SETTLED_S = 30.0


class _Unsettled(NetfactsError):
    pass


@pytest.mark.fact("carry.service")
def test_service_runs_and_resolves_again(host: Host, host2: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """When engine after engine of a swarm was replaced, a service has a task on each node, and its name gives both.

    host [ web, box ]══════ mesh ══════[ web, other ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    service = host.service("web", network=mesh, nodes=(host, host2))
    before = service.running()
    absence = takeover()
    boxes = host.container("box", network=mesh), host2.container("other", mode=mesh.name)
    tasks = _await_tasks(service, *boxes)

    with act:
        found = [one for box in boxes for one in resolve(box.vantage, service.name)]
        answers = ask(*(icmp(box.vantage, address) for box in boxes for address in tasks))

    claim.measure("absence of the engines, one after the other", round((absence.ended - absence.began) * 1000), "ms")
    claim.show("tasks, as the manager tells", f"before {before}\nafter {tasks}")
    claim.judge(
        holds("tasks", len(tasks) == 2, tasks, expected="two"),
        *(equal(f"addresses of {one.name}", sorted(one.addresses), tasks, vantage=one.vantage) for one in found),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
    )


def _await_tasks(service: Service, *boxes: Container) -> list[str]:
    """Wait until each container's DNS server knows all tasks, and all answer, and give their addresses.

    No error where that never comes: it is for the check to see.
    """

    def settled() -> bool:
        tasks = service.addresses()
        known = [sorted(query(box.vantage, "127.0.0.11", service.name).records) for box in boxes]
        return len(tasks) == len(boxes) and known == [tasks] * len(boxes) and all_answer(tasks, *boxes)

    with contextlib.suppress(_Unsettled):
        until(settled, what=f"service {service.name} to settle", timeout_s=_SETTLED_S, error=_Unsettled)
    return service.addresses()


@strike("carry.service", "the service is removed")
def _(stage: Stage) -> None:
    api = stage.host.engine.api
    for service in api.services():  # type: ignore[no-untyped-call]
        api.remove_service(service["ID"])  # type: ignore[no-untyped-call]
    for host in stage.hosts.values():
        for container in host.engine.api.containers(filters={"label": "com.docker.swarm.service.id"}):
            host.engine.api.remove_container(container["Id"], force=True)


@strike("carry.service", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")
