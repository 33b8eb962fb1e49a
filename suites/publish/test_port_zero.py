"""Publishing a port that nobody can listen on."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.topology import Host, refusal
from netfacts.verdict import equal

_HOST_PORT = 20081
_BAD_REQUEST = 400


@pytest.mark.fact("publish.port-zero")
def test_mapping_to_container_port_zero_is_accepted(host: Host, act: Act, claim: Claim) -> None:
    """The engine accepts that a host port is published to container port 0."""
    usual = refusal(lambda: host.container("usual", publish={"8080/tcp": _HOST_PORT}, start=False))
    claim.control(equal("refusal of a mapping to container port 8080", usual, "", control=True))

    with act:
        words = refusal(lambda: host.container("box", publish={"0/tcp": _HOST_PORT}))
        published = [str(port) for container in host.containers for port in container.ports]

    claim.show("docker port", "\n".join(published))
    claim.judge(equal("refusal of a mapping to container port 0", words, ""))


@strike("publish.port-zero", "the engine refuses as newer ones do", engines="<29.1.3")
def _(stage: Stage) -> None:
    stage.forge("/containers/create", lambda _: {"message": "port 0 is invalid"}, status=_BAD_REQUEST)


@tamper("publish.port-zero", "the engine takes another container port for port 0", engines=">=29.1.3")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {key.replace("0/tcp", "8081/tcp"): value for key, value in request["publish"].items()}}
