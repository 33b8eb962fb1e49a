"""Further names of a container: its aliases, and names that it is given later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.probe import resolve
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen


@pytest.mark.fact("alias.short-id")
def test_connected_container_has_its_short_id_among_its_aliases(host: Host, act: Act, claim: Claim) -> None:
    """Where a container is connected to a user-defined network, its short ID is among its Aliases there."""
    network, box = host.network("net"), host.container("box")
    other = host.container("other", network=network)

    with act:
        host.connect(network, box)
        (found,) = resolve(other.vantage, box.id[:12])

    aliases = box.networks[network.name]["Aliases"] or []
    claim.show("docker inspect: Networks", json.dumps(box.networks, indent=2))
    claim.control(seen(found, Outcome.CONNECTED, control=True))
    claim.judge(holds("Aliases", box.id[:12] in aliases, aliases, expected=f"{box.id[:12]} among them"))


@strike("alias.short-id", "the engine's answer has no aliases", engines="<26")
def _(stage: Stage) -> None:
    _forge_aliases(stage, [])


@strike("alias.short-id", "the engine's answer has the short ID for an alias", engines=">=26")
def _(stage: Stage) -> None:
    _forge_aliases(stage, [stage.container("box").id[:12]])


def _forge_aliases(stage: Stage, aliases: list[str]) -> None:
    def forged(said: Any) -> Any:
        ends = {name: end | {"Aliases": aliases} for name, end in said["NetworkSettings"]["Networks"].items()}
        return said | {"NetworkSettings": said["NetworkSettings"] | {"Networks": ends}}

    stage.forge(f"/containers/{stage.container('box').id}/json", forged)


@pytest.mark.fact("dns.rename")
def test_renamed_container_resolves_by_its_newest_name(host: Host, act: Act, claim: Claim) -> None:
    """A container that was renamed twice resolves by its newest name and no longer by the older ones."""
    network = host.network("net")
    box, other = host.container("first", network=network), host.container("other", network=network)
    names, address = [box.name], box.address
    (found,) = resolve(other.vantage, box.name)
    claim.control(seen(found, Outcome.CONNECTED, control=True))

    with act:
        for role in ("second", "third"):
            host.rename(box, role)
            names.append(box.name)
        *older, newest = resolve(other.vantage, *names)

    told = [f"{name.name} {name.outcome} {' '.join(name.addresses)}" for name in (*older, newest)]
    claim.show("getent hosts, after two renames, oldest name first", "\n".join(told))
    claim.judge(
        equal(f"addresses of {newest.name}", newest.addresses, (address,), vantage=other.vantage),
        *(seen(name, Outcome.NAME_NOT_FOUND) for name in older),
    )


@strike("dns.rename", "the container's first name stands in the other one's /etc/hosts", engines="!=25.0.0")
def _(stage: Stage) -> None:
    box, other = stage.container("first"), stage.container("other")
    path = f"/proc/{other.pid}/root/etc/hosts"
    (text,) = stage.host.machine.read(path)
    stage.host.machine.agent.call("write", path=path, text=f"{text}{box.address} {box.name}\n")


@strike("dns.rename", "the container is disconnected before it is renamed", engines="!=25.0.0")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("net"), stage.container("first"))
