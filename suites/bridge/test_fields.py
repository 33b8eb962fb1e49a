"""What the engine shows of a network and of a container on it, and under which names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import interface, output
from netfacts.topology import Host
from netfacts.verdict import equal, holds

_ALWAYS = {
    *("Name", "Id", "Created", "Scope", "Driver", "EnableIPv6", "IPAM", "Internal"),
    *("Attachable", "Ingress", "ConfigFrom", "ConfigOnly", "Containers", "Options", "Labels"),
}


@pytest.mark.fact("inspect.fields")
@pytest.mark.shared
def test_network_inspect_says_whether_it_has_ipv4(host: Host, act: Act, claim: Claim) -> None:
    """`docker network inspect` says of a network whether it has IPv4, as EnableIPv4."""
    network = host.network("net")

    with act:
        said = network.inspect()
        claim.show("docker network inspect", json.dumps(said, indent=2))

    claim.control(holds("older fields", set(said) >= _ALWAYS, set(said), expected="all fifteen", control=True))
    claim.judge(equal("EnableIPv4 of a network that has it", said.get("EnableIPv4"), True))


@strike("inspect.fields", "the engine's answer lacks EnableIPv4", engines=">=28")
def _(stage: Stage) -> None:
    def lacking(said: Any) -> Any:
        return {field: value for field, value in said.items() if field != "EnableIPv4"}

    stage.forge(f"/networks/{stage.network('net').id}", lacking)


@strike("inspect.fields", "the engine's answer has EnableIPv4", engines="<28")
def _(stage: Stage) -> None:
    stage.forge(f"/networks/{stage.network('net').id}", lambda said: said | {"EnableIPv4": True})


@pytest.mark.fact("inspect.top-level-address")
@pytest.mark.shared
def test_address_on_default_bridge_is_shown_outside_networks_too(host: Host, act: Act, claim: Claim) -> None:
    """The newest API shows the address of a container on the default bridge as NetworkSettings.IPAddress, too."""
    box = host.container("box")
    (address,) = interface(box.vantage, "eth0").ipv4

    with act:
        box.refresh()
        shown = box.said["NetworkSettings"].get("IPAddress")
        claim.show("docker inspect: NetworkSettings", json.dumps(box.said["NetworkSettings"], indent=2))
        claim.show("ip -4 addr in the container", output(box.vantage, "ip", "-4", "addr"))

    claim.judge(equal("NetworkSettings.IPAddress", shown, str(address.ip)))


@strike("inspect.top-level-address", "the container is moved to a user-defined network", engines="<29")
def _(stage: Stage) -> None:
    box = stage.container("box")
    stage.host.disconnect(stage.host.predefined("bridge"), box)
    stage.host.connect(stage.host.network("user"), box)


@strike("inspect.top-level-address", "the engine answers as it does to a client of API 1.51", engines=">=29")
def _(stage: Stage) -> None:
    box = stage.container("box")
    shown = {"IPAddress": box.address}
    stage.forge(f"/containers/{box.id}/json", lambda said: said | {"NetworkSettings": said["NetworkSettings"] | shown})
