"""What the engine calls the network mode that nobody has chosen."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.topology import Host
from netfacts.verdict import equal


@pytest.mark.fact("modes.name-of-default")
@pytest.mark.shared
def test_network_mode_without_network_is_called_default(host: Host, act: Act, claim: Claim) -> None:
    """The HostConfig.NetworkMode of a container that was started without --network is called default."""
    box = host.container("box")
    claim.control(equal("its networks", list(box.networks), ["bridge"], control=True))

    with act:
        box.refresh()
        mode = box.said["HostConfig"]["NetworkMode"]
        claim.show("docker inspect -f '{{.HostConfig.NetworkMode}}'", mode)

    claim.judge(equal("HostConfig.NetworkMode", mode, "default"))


@tamper("modes.name-of-default", "the engine takes its absence for --network bridge", engines="<26.1")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "bridge"}


@strike("modes.name-of-default", "the engine answers as older ones do", engines=">=26.1")
def _(stage: Stage) -> None:
    def older(said: Any) -> Any:
        return said | {"HostConfig": said["HostConfig"] | {"NetworkMode": "default"}}

    stage.forge(f"/containers/{stage.container('box').id}/json", older)
