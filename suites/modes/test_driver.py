"""The drivers that networks can be made with."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds

_FREE = ("bridge", "macvlan", "ipvlan")
_TAKEN = {"host": 'only one instance of "host" network', "null": 'only one instance of "null" network'}
_NO_MANAGER = "This node is not a swarm manager"


@pytest.mark.own_segment
@pytest.mark.fact("modes.user-drivers")
def test_networks_are_made_with_bridge_macvlan_and_ipvlan(host: Host, act: Act, claim: Claim) -> None:
    """Networks can be made with bridge, macvlan and ipvlan, in a swarm with overlay, and not with host and null."""
    parent = {"parent": host.machine.interface()}
    options = {"macvlan": parent, "ipvlan": parent}

    with act:
        free = [refusal(partial(host.network, driver, driver=driver, options=options.get(driver))) for driver in _FREE]
        taken = {driver: refusal(partial(host.network, driver, driver=driver)) for driver in _TAKEN}
        made = [network.driver for network in host.networks]
        overlay = refusal(partial(host.network, "overlay", driver="overlay"))
        info = host.engine.api.info()

    manager = bool(info["Swarm"].get("ControlAvailable"))
    claim.show("docker network create -d host; … -d null", "\n".join(taken.values()))
    claim.show("docker network create -d overlay", overlay)
    claim.show("docker info -f '{{.Plugins.Network}}'", " ".join(info["Plugins"]["Network"]))
    other = overlay if _NO_MANAGER not in overlay else ""
    claim.control(equal("refusal of an overlay on other grounds than that there is no swarm", other, "", control=True))
    claim.judge(
        equal(f"refusals of {', '.join(_FREE)}", free, [""] * len(_FREE)),
        *(
            holds(f"refusal of {driver}", words in taken[driver], taken[driver], expected=words)
            for driver, words in _TAKEN.items()
        ),
        equal("drivers of the networks made", made, list(_FREE)),
        equal("an overlay is made (true on a swarm's manager)", overlay == "", manager),
        holds(
            "drivers that docker info lists",
            {*_FREE, *_TAKEN, "overlay"} <= set(info["Plugins"]["Network"]),
            info["Plugins"]["Network"],
            expected="all six among them",
        ),
    )


@tamper("modes.user-drivers", "the engine takes ipvlan for macvlan")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return _with(request, ipvlan="macvlan")


@tamper("modes.user-drivers", "the engine takes null for bridge")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return _with(request, null="bridge")


@tamper("modes.user-drivers", "the engine makes a bridge where an overlay needs a swarm")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return _with(request, overlay="bridge")


def _with(request: dict[str, Any], **drivers: str) -> dict[str, Any]:
    return request | {"driver": drivers.get(request["driver"], request["driver"])}


@strike("modes.user-drivers", "docker info lists no ipvlan")
def _(stage: Stage) -> None:
    def older(said: Any) -> Any:
        found = [driver for driver in said["Plugins"]["Network"] if driver != "ipvlan"]
        return said | {"Plugins": said["Plugins"] | {"Network": found}}

    stage.forge("/info", older)
