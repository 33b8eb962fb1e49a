"""The three networks that every engine has, and which of them a container is attached to unasked."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.model.verdict import Observation, Outcome
from netfacts.observe import links
from netfacts.probe import ask, icmp
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds, seen

_PREDEFINED = ("bridge", "host", "none")
_NO_CONTENT = 204


@pytest.mark.fact("modes.three-predefined")
@pytest.mark.own_lab  # fresh: no check before this one has made a swarm, or networks, of the engine's.
def test_fresh_engine_has_three_networks(host: Host, act: Act, claim: Claim) -> None:
    """A fresh engine has exactly three networks of local scope: bridge, host and none."""
    with act:
        listed = [f"{said['Name']} {said['Driver']} {said['Scope']}" for said in host.engine.api.networks()]

    claim.show("docker network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'", "\n".join(sorted(listed)))
    claim.judge(
        equal(
            "networks, with driver and scope",
            sorted(listed),
            ["bridge bridge local", "host host local", "none null local"],
            vantage=host.name,
        )
    )


flags("modes.three-predefined", "--bridge=none")


@strike("modes.three-predefined", "somebody has made a fourth network")
def _(stage: Stage) -> None:
    stage.host.network("fourth")


@pytest.mark.fact("modes.predefined-undeletable")
def test_predefined_networks_can_be_neither_removed_nor_made_again(host: Host, act: Act, claim: Claim) -> None:
    """The engine removes none of bridge, host and none, and makes no network of these names."""
    other = host.network("other")

    with act:
        unmade = {name: refusal(partial(_remove, host, name)) for name in _PREDEFINED}
        made = {name: refusal(partial(host.network, name, name=name)) for name in _PREDEFINED}
        listed = [said["Name"] for said in host.engine.api.networks() if said["Name"] in _PREDEFINED]
        removed = refusal(partial(host.remove, other))

    claim.show("docker network rm bridge host none", "\n".join(unmade.values()))
    claim.show("docker network create bridge; … host; … none", "\n".join(made.values()))
    claim.control(equal(f"refusal to remove {other.name}", removed, "", control=True))
    claim.judge(
        *(_says(f"docker network rm {name}", unmade[name], f"{name} is a pre-defined network") for name in unmade),
        *(_says(f"docker network create {name}", made[name], f"predefined {name} network") for name in made),
        equal("networks of these names, afterwards", sorted(listed), sorted(_PREDEFINED), vantage=host.name),
    )


def _remove(host: Host, name: str) -> None:
    host.remove(host.predefined(name))


def _says(attempt: str, words: str, expected: str) -> Observation:
    return holds(f"refusal of {attempt}", expected in words, words, expected=expected)


flags("modes.predefined-undeletable", "--bridge=none")


@tamper("modes.predefined-undeletable", "the engine makes a network of such a name under another one")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"name": f"{request['name']}-again"}


@strike("modes.predefined-undeletable", "the engine says that it has removed none")
def _(stage: Stage) -> None:
    stage.forge(f"/networks/{stage.host.predefined('none').id}", lambda said: said, status=_NO_CONTENT)


@strike("modes.predefined-undeletable", "the engine lists host no more")
def _(stage: Stage) -> None:
    stage.forge("/networks", lambda listed: [said for said in listed if said["Name"] != "host"])


@pytest.mark.fact("modes.default-is-bridge")
@pytest.mark.shared
def test_container_without_network_is_on_bridge(host: Host, act: Act, claim: Claim) -> None:
    """A container started without --network is attached to the network bridge and to no other."""
    box = host.container("box")
    docker0 = host.predefined("bridge").bridge
    (gateway,) = [str(address.ip) for link in links(host.vantage) if link.name == docker0 for address in link.ipv4]

    with act:
        box.refresh()
        inside = [link for link in links(box.vantage) if link.up and link.name != "lo"]
        ends = [link for link in links(host.vantage) if link.index in {card.peer_index for card in inside}]
        (answer,) = ask(icmp(box.vantage, gateway))

    claim.show(
        "docker inspect: networks of box",
        "\n".join(f"{name}: {end['IPAddress']} via {end['Gateway']}" for name, end in box.networks.items()),
    )
    claim.judge(
        equal("networks that docker inspect lists", sorted(box.networks), ["bridge"], vantage=box.name),
        equal("interfaces that are up, besides lo", [link.name for link in inside], ["eth0"], vantage=box.name),
        equal("bridge that the other end of eth0 is a port of", [end.master for end in ends], [docker0]),
        seen(answer, Outcome.CONNECTED),
    )


@tamper("modes.default-is-bridge", "the engine takes none for its default")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "none"}


@strike("modes.default-is-bridge", "the container is connected to a second network")
def _(stage: Stage) -> None:
    stage.host.connect(stage.host.network("second"), stage.container("box"))


@strike("modes.default-is-bridge", "the container's veth is no port of docker0")
def _(stage: Stage) -> None:
    (peer,) = [link.peer_index for link in links(stage.container("box").vantage) if link.name == "eth0"]
    stage.host.machine.netlink.do("link", "set", index=peer, master=0)
