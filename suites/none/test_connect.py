"""Giving a network to a container that was started without one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, links
from netfacts.probe import ask, icmp
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, holds, seen

_PRIVATE = "private (none) mode"


@pytest.mark.fact("none.user-must-configure")
def test_none_mode_container_is_connected_only_when_it_has_left_none(host: Host, act: Act, claim: Claim) -> None:
    """`docker network connect` refuses a container on none, and takes one that was disconnected from none first."""
    network, none = host.network("net"), host.predefined("none")
    box, freed = host.container("box", mode="none"), host.container("freed", mode="none")
    host.disconnect(none, freed)
    host.connect(network, freed)
    gateway = str(interface(host.vantage, network.bridge).ipv4[0].ip)

    with act:
        words = refusal(partial(host.connect, network, box))
        box.refresh()
        freed.refresh()
        (answer,) = ask(icmp(freed.vantage, gateway))
        cards = {one.name: _cards(one) for one in (box, freed)}

    claim.show(f"docker network connect {network.name} {box.name}", words)
    claim.show("docker exec freed ip addr", freed.run("ip", "addr").out)
    claim.judge(
        holds("refusal to connect a container on none", _PRIVATE in words, words, expected=_PRIVATE),
        equal("its networks, and its interfaces besides lo", (list(box.networks), cards[box.name]), (["none"], [])),
        equal("networks of the one disconnected first", list(freed.networks), [network.name], vantage=freed.name),
        equal("its interfaces besides lo", cards[freed.name], ["eth0"], vantage=freed.name),
        seen(answer, Outcome.CONNECTED),
    )


def _cards(container: Container) -> list[str]:
    return [link.name for link in links(container.vantage) if link.up and link.name != "lo"]


@tamper("none.user-must-configure", "the engine ignores --network none")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"mode": ""} if request["name"].startswith("box") else {})


@strike("none.user-must-configure", "the container is disconnected from none")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.host.predefined("none"), stage.container("box"))


@strike("none.user-must-configure", "the container that left none loses its network again")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("net"), stage.container("freed"))
