"""Swarm services on an overlay of two hosts: what their names resolve to."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp, resolve
from netfacts.topology import Host, Service
from netfacts.verdict import equal, seen
from suites.overlay.gossip import await_services

pytestmark = pytest.mark.usefixtures("swarm")


@pytest.mark.fact("swarm.dnsrr")
def test_service_names_resolve_to_the_tasks_of_every_host(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """On every host, the names NAME and tasks.NAME of each dnsrr service give the addresses of all its tasks.

    host [ box, web, store ]══════ mesh ══════[ other, web, store ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    boxes = host.container("box", network=mesh), host2.container("other", mode=mesh.name)
    services = [host.service(role, network=mesh, nodes=(host, host2)) for role in ("web", "store")]
    act.settle(lambda: await_services(_names(services), *boxes))

    with act:
        tasks = {service.name: service.running() for service in services}
        names = _names(services)
        found = [one for box in boxes for one in resolve(box.vantage, *names)]
        answers = ask(*(icmp(box.vantage, ip) for box in boxes for addresses in tasks.values() for ip in addresses))

    claim.show("tasks by service, as the manager tells", "\n".join(f"{name} {ips}" for name, ips in tasks.items()))
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
    argv = ["iptables", "-I", "INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"]
    stage.host.engine.execute(argv).checked("could not add a rule", LabError)
