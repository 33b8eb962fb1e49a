"""Containers that want the same host port."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.probe import listen
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds

_HOST_PORT = 20080


@pytest.mark.fact("publish.one-container-per-port")
def test_second_container_on_a_host_port_is_refused(host: Host, act: Act, claim: Claim) -> None:
    """Only one container can publish a given host address, protocol and port; another protocol or address is free."""
    host.container("first", publish={"8080/tcp": ("127.0.0.1", _HOST_PORT)})
    second = host.container("second", publish={"8080/tcp": ("127.0.0.1", _HOST_PORT)}, start=False)
    datagrams = host.container("datagrams", publish={"8080/udp": ("127.0.0.1", _HOST_PORT)}, start=False)
    elsewhere = host.container("elsewhere", publish={"8080/tcp": (host.address, _HOST_PORT)}, start=False)
    everywhere = host.container("everywhere", publish={"8080/tcp": _HOST_PORT}, start=False)

    with act:
        same, other_protocol, other_address, any_address = (
            refusal(partial(host.start, container)) for container in (second, datagrams, elsewhere, everywhere)
        )
        second.refresh()

    claim.show("docker start second", same)
    claim.show("docker start everywhere (0.0.0.0 instead of 127.0.0.1)", any_address)
    claim.judge(
        holds("refusal of the same port", "already allocated" in same, same, expected="port is already allocated"),
        equal("state of the second container", second.said["State"]["Status"], "created"),
        equal("refusal of the same port, but UDP", other_protocol, ""),
        equal("refusal of the same port at another address", other_address, ""),
        holds("refusal of the same port at every address", bool(any_address), any_address, expected="some refusal"),
    )


@strike("publish.one-container-per-port", "the first container is stopped before the others are started")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("first"))


@tamper("publish.one-container-per-port", "the engine gives the second container another port")
def _(request: dict[str, Any]) -> dict[str, Any]:
    second = request["name"].startswith("second")
    return request | {"publish": {"8080/tcp": ("127.0.0.1",)}} if second else request


@pytest.mark.fact("publish.conflict-with-host-process")
def test_docker_proxy_is_refused_a_port_that_another_program_holds(host: Host, act: Act, claim: Claim) -> None:
    """A host port that a program of the host's own listens on is refused: "Error starting userland proxy"."""
    listener = listen(host.vantage)
    web = host.container("web", publish={"8080/tcp": ("127.0.0.1", listener.port)}, start=False)

    with act:
        refused = refusal(partial(host.start, web))

    claim.show("docker start web", refused)
    words = "rror starting userland proxy"
    claim.judge(holds("words of the refusal", words in refused, refused, expected=f"E{words}", vantage=host.name))


@strike("publish.conflict-with-host-process", "the port is free by then", engines="<28")
def _(stage: Stage) -> None:
    _free_the_port(stage)


@strike("publish.conflict-with-host-process", "the port is free, but docker-proxy does not start", engines=">=28")
def _(stage: Stage) -> None:
    _free_the_port(stage)
    script = "#!/bin/sh\necho 1 >&3; echo 'bind: address already in use' >&3\n"
    # Engines' own files have what dockerd needs, and that is no coreutils.
    steps = (
        "proxy=$(command -v docker-proxy)",
        'busybox rm "$proxy"',
        'busybox cat >"$proxy"',
        'busybox chmod 755 "$proxy"',
    )
    stage.host.engine.run(f"sh -c '{' && '.join(steps)}'", text=script)


def _free_the_port(stage: Stage) -> None:
    # The check's listener is the first, and the only one, of a lab of its own.
    stage.host.machine.agent.call("close", listener=1)
