"""`docker network connect` of running containers to an overlay."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import links, output
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, holds, seen, source_is
from suites.overlay.gossip import await_gossip

pytestmark = pytest.mark.usefixtures("swarm")

_PORT = 8080
_NOT_ATTACHABLE = "not manually attachable"


@pytest.mark.fact("overlay.dynamic-attach")
def test_running_containers_are_given_an_overlay(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Running containers of two hosts are connected to a younger overlay, and meet there; one not attachable refuses.

    docker0 ─[ web ]══════ mesh ══════[ box ]─ docker0
              host                      host2
    """
    web, box = boxes = host.container("web"), host2.container("box")
    for container in boxes:
        listen(container.vantage, _PORT)

    with act:
        began = [(_ways(container), _running(container)) for container in boxes]
        mesh, closed = host.network("mesh", driver="overlay", attachable=True), host.network("closed", driver="overlay")
        host.connect(mesh, web)
        host2.connect(mesh, box)
        await_gossip(mesh, *boxes)
        words = refusal(partial(host.connect, closed, web))
        to_box, to_web = ask(
            tcp(web.vantage, box.address_on(mesh.name), _PORT), tcp(box.vantage, web.address_on(mesh.name), _PORT)
        )
        ended = [(_ways(container), _running(container)) for container in boxes]

    claim.show(f"ip addr in {web.name}", output(web.vantage, "ip", "addr"))
    claim.show("docker network connect to the overlay that is not attachable", words)
    claim.judge(
        *(
            equal(f"interfaces of {one.name}", after, sorted([*before, f"veth up in {mesh.subnet}"]), vantage=one.name)
            for one, (before, _), (after, _) in zip(boxes, began, ended, strict=True)
        ),
        *(
            equal(f"first process of {one.name}, and when it started", after, before)
            for one, (_, before), (_, after) in zip(boxes, began, ended, strict=True)
        ),
        *(seen(one, Outcome.CONNECTED) for one in (to_box, to_web)),
        source_is(to_box, web.address_on(mesh.name)),
        source_is(to_web, box.address_on(mesh.name)),
        holds(
            "refusal by the overlay that is not attachable", _NOT_ATTACHABLE in words, words, expected=_NOT_ATTACHABLE
        ),
    )


def _ways(container: Container) -> list[str]:
    """The interfaces of a container but lo, as they are and by the subnet that they are in."""
    return sorted(
        f"{link.kind} {'up' if link.up else 'down'} in {end.network}"
        for link in links(container.vantage)
        for end in link.ipv4
        if link.name != "lo"
    )


def _running(container: Container) -> tuple[int, str]:
    """A container's first process, and when the engine says that it was started."""
    container.refresh()
    return container.pid, str(container.said["State"]["StartedAt"])


@tamper("overlay.dynamic-attach", "the engine makes every overlay attachable")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"attachable": True}


@strike("overlay.dynamic-attach", "the engine restarts a container to connect it")
def _(stage: Stage) -> None:
    web = stage.container("web")
    _once_connected(stage, lambda: stage.host.engine.api.restart(web.id, timeout=0))


@strike("overlay.dynamic-attach", "the first host's engine leaves the container's new interface down")
def _(stage: Stage) -> None:
    def leave_down() -> None:
        stage.container("web").vantage.run("ip link set eth1 down")

    _once_connected(stage, leave_down)


@strike("overlay.dynamic-attach", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")


def _once_connected(stage: Stage, then: Callable[[], object]) -> None:
    """Have something done as the first host's engine has connected its container."""
    due = [then]

    def answer(said: Any) -> Any:
        while due:
            due.pop()()
        return said

    stage.forge("/connect", answer)
