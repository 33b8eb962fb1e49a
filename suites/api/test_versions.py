"""Clients that speak an old version of the API."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Observation
from netfacts.observe import Reply, fetch
from netfacts.topology import Host
from netfacts.verdict import equal

_LIST = "/containers/json"
_OK, _BAD_REQUEST = 200, 400
_TOO_OLD = "is too old"


@pytest.mark.fact("api.serves-1-23")
def test_client_of_api_1_23_is_served(host: Host, act: Act, claim: Claim) -> None:
    """The engine serves a client that speaks version 1.23 of its API."""
    with act:
        newest, reply = _fetched(host, "1.23")
        claim.show("GET /v1.23/containers/json", _told(reply))

    claim.control(*_controls(newest, reply))
    claim.judge(equal("status of GET /v1.23/containers/json", reply.status, _OK))


@strike("api.serves-1-23", "the engine says that the client is too old", engines="<25")
def _(stage: Stage) -> None:
    stage.forge(f"/v1.23{_LIST}", _refused, status=_BAD_REQUEST)


@strike("api.serves-1-23", "the daemon is told to serve versions from 1.12 on", engines="==25.*")
def _(stage: Stage) -> None:
    _restart(stage, oldest="1.12")


@strike("api.serves-1-23", "the engine answers as older ones do", engines=">=26")
def _(stage: Stage) -> None:
    stage.forge(f"/v1.23{_LIST}", _none, status=_OK)


@pytest.mark.fact("api.serves-1-24")
@pytest.mark.parametrize("version", ["1.24", "1.39"], ids=["api=1.24", "api=1.39"])
def test_client_of_api_1_24_to_1_39_is_served(host: Host, act: Act, claim: Claim, version: str) -> None:
    """The engine serves clients that speak versions 1.24 to 1.39 of its API."""
    with act:
        newest, reply = _fetched(host, version)
        claim.show(f"GET /v{version}/containers/json", _told(reply))

    claim.control(*_controls(newest, reply))
    claim.judge(equal(f"status of GET /v{version}/containers/json", reply.status, _OK))


@pytest.mark.fact("api.serves-1-40")
def test_client_of_api_1_40_is_served(host: Host, act: Act, claim: Claim) -> None:
    """The engine serves a client that speaks version 1.40 of its API."""
    with act:
        newest, reply = _fetched(host, "1.40")
        claim.show("GET /v1.40/containers/json", _told(reply))

    claim.control(*_controls(newest, reply))
    claim.judge(equal("status of GET /v1.40/containers/json", reply.status, _OK))


@strike("api.serves-1-24", "the engine says that the client is too old", engines="<26")
@strike("api.serves-1-40", "the engine says that the client is too old", engines="<26")
def _(stage: Stage) -> None:
    for version in ("1.24", "1.39", "1.40"):
        stage.forge(f"/v{version}{_LIST}", _refused, status=_BAD_REQUEST)


@strike("api.serves-1-24", "the daemon is told to serve versions from 1.44 on", engines=">=26,<29")
@strike("api.serves-1-40", "the daemon is told to serve versions from 1.44 on", engines=">=26,<29")
@strike("api.serves-1-40", "the daemon is told to serve versions from 1.44 on", engines=">=29.3")
def _(stage: Stage) -> None:
    _restart(stage, oldest="1.44")


@strike("api.serves-1-24", "the daemon is told to serve versions from 1.24 on", engines=">=29")
@strike("api.serves-1-40", "the daemon is told to serve versions from 1.24 on", engines=">=29,<29.3")
def _(stage: Stage) -> None:
    _restart(stage, oldest="1.24")


def _fetched(host: Host, version: str) -> tuple[Reply, Reply]:
    """What the engine answers to a client of its newest version, and to one of this."""
    # Asked of the engine that runs now, which need not be the one that built the lab.
    newest = str(host.engine.api.version()["ApiVersion"])
    return fetch(host.engine, _LIST, version=newest), fetch(host.engine, _LIST, version=version)


def _controls(newest: Reply, reply: Reply) -> list[Observation]:
    # Refused on other grounds, a client has not been refused for its version.
    other = _told(reply) if reply.status != _OK and _TOO_OLD not in reply.text else ""
    return [
        equal(f"status where the client speaks {newest.version}", newest.status, _OK, control=True),
        equal("refusal on other grounds than the version", other, "", control=True),
    ]


def _told(reply: Reply) -> str:
    return f"{reply.status} {reply.text}"


def _refused(_: Any) -> Any:
    return {"message": f"client version {_TOO_OLD}"}


def _none(_: Any) -> Any:
    return []


def _restart(stage: Stage, *, oldest: str) -> None:
    """Start the daemon anew, with this as the oldest version that it serves."""
    stage.host.engine.stop()
    stage.host.engine.start(environment={"DOCKER_MIN_API_VERSION": oldest})
