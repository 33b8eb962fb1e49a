"""What a listing of containers says of their ports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.engine.image import EXPOSED
from netfacts.model.verdict import Outcome
from netfacts.observe import fetch
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen

_LIST = "/containers/json"
_PUBLISHED, _UNPUBLISHED = EXPOSED


@pytest.mark.fact("publish.exposed-listed")
@pytest.mark.shared
def test_exposed_port_is_listed_without_one_of_the_host(host: Host, act: Act, claim: Claim) -> None:
    """A port that is exposed and not published is listed, and the host's port of that number is closed."""
    # Somebody's host may have a program of its own on this port.
    (unused,) = ask(tcp(host.vantage, host.address, _UNPUBLISHED))
    web = host.container("web", publish={f"{_PUBLISHED}/tcp": None})
    listen(web.vantage, _PUBLISHED)
    listen(web.vantage, _UNPUBLISHED)
    (direct,) = ask(tcp(host.vantage, web.address, _UNPUBLISHED))
    claim.control(seen(unused, Outcome.REFUSED, control=True), seen(direct, Outcome.CONNECTED, control=True))

    with act:
        ports = _ports(host, web)
        (closed,) = ask(tcp(host.vantage, host.address, _UNPUBLISHED))
        claim.show("docker ps: Ports", json.dumps(ports, indent=2))

    of = {number: [port for port in ports if port.get("PrivatePort") == number] for number in EXPOSED}
    claim.control(
        equal("the published port, listed with one of the host", _with_hosts(of[_PUBLISHED]), {True}, control=True)
    )
    claim.judge(
        equal("the exposed port, as it is listed", of[_UNPUBLISHED], [{"PrivatePort": _UNPUBLISHED, "Type": "tcp"}]),
        seen(closed, Outcome.REFUSED),
    )


def _ports(host: Host, container: Container) -> list[dict[str, Any]]:
    """Read what the engine lists of a container's ports."""
    # Asked of the engine that runs now, which need not be the one that built the lab.
    newest = str(host.engine.api.version()["ApiVersion"])
    listed = json.loads(fetch(host.engine, _LIST, version=newest).text)
    return [port for entry in listed if entry["Id"] == container.id for port in entry["Ports"]]


def _with_hosts(ports: list[dict[str, Any]]) -> set[bool]:
    return {_is_published(port) for port in ports}


@tamper("publish.exposed-listed", "the engine publishes whatever is exposed")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": request["publish"] | {f"{_UNPUBLISHED}/tcp": _UNPUBLISHED}}


@strike("publish.exposed-listed", "the engine lists published ports only")
def _(stage: Stage) -> None:
    stage.forge(
        _LIST, lambda listed: [entry | {"Ports": list(filter(_is_published, entry["Ports"]))} for entry in listed]
    )


@strike("publish.exposed-listed", "a program of the host's listens on the same port")
def _(stage: Stage) -> None:
    listen(stage.host.vantage, _UNPUBLISHED)


def _is_published(port: dict[str, Any]) -> bool:
    return "PublicPort" in port
