"""Two containers that do nothing but stay up, as in most of the notes' examples."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.observe import interface, processes
from netfacts.topology import Container, Host
from netfacts.verdict import equal

_LOOP = ("/bin/sh", "-c", "while true; do sleep 3600; done")


@pytest.mark.fact("app.two-busybox")
def test_two_loops_of_sleep_stay_up_on_consecutive_addresses(host: Host, act: Act, claim: Claim) -> None:
    """Two containers with an endless loop of sleep stay up, and have consecutive addresses on an idle bridge."""
    host.require_alone()
    # What the loop is for: without it a shell that nobody types to ends, and its container with it.
    bare = host.container("bare", mode="none", command=["/bin/sh"])
    claim.control(equal("end of a container with a mere shell", bare.ended(), True, vantage=bare.name, control=True))
    first = host.container("test1", command=_LOOP)

    with act:
        second = host.container("test2", command=_LOOP)
        for container in (first, second):
            container.refresh()
        addresses = {container.name: _address(host, container) for container in (first, second)}
        commands = {process.pid: process.argv for process in processes(host.machine)}

    (docker0,) = interface(host.vantage, host.predefined().bridge).ipv4
    claim.show("docker ps -a", "\n".join(f"{one.name} {one.state}" for one in (first, second, bare)))
    claim.show("docker network inspect bridge: Containers", "\n".join(f"{n} {a}" for n, a in addresses.items()))
    claim.judge(
        *(equal(f"state of {one.name}", one.state, "running 0") for one in (first, second)),
        *(equal(f"first process of {one.name}", commands.get(one.pid), _LOOP) for one in (first, second)),
        equal("addresses", list(addresses.values()), [docker0.ip + 1, docker0.ip + 2], vantage=host.name),
    )


def _address(host: Host, container: Container) -> IPv4Address | None:
    said = host.predefined().inspect()["Containers"].get(container.id, {})
    text = said.get("IPv4Address", "").partition("/")[0]
    return IPv4Address(text) if text else None


@strike("app.two-busybox", "somebody else takes the next address")
def _(stage: Stage) -> None:
    stage.host.container("thief")


@strike("app.two-busybox", "the first loop is killed")
def _(stage: Stage) -> None:
    stage.host.machine.kill(stage.container("test1").pid)
    stage.container("test1").ended()


@tamper("app.two-busybox", "the engine runs the image's own command")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"command": ["sleep", "1d"] if request["name"].startswith("test") else request.get("command")}
