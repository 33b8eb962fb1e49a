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
def test_short_id_is_among_the_aliases(host: Host, act: Act, claim: Claim) -> None:
    """On a user-defined network docker inspect lists a container's short ID among its Aliases."""
    network = host.network("net")
    box, other = host.container("box", network=network), host.container("other", network=network)
    (found,) = resolve(other.vantage, box.id[:12])
    claim.control(seen(found, Outcome.CONNECTED, control=True))

    with act:
        box.refresh()
        aliases = box.networks[network.name]["Aliases"] or []
        claim.show("docker inspect: Networks", json.dumps(box.networks, indent=2))

    claim.judge(holds("Aliases", box.id[:12] in aliases, aliases, expected=f"{box.id[:12]} among them"))


@strike("alias.short-id", "the engine's answer lacks the aliases", engines="<26")
def _(stage: Stage) -> None:
    def lacking(said: Any) -> Any:
        ends = {name: end | {"Aliases": None} for name, end in said["NetworkSettings"]["Networks"].items()}
        return said | {"NetworkSettings": said["NetworkSettings"] | {"Networks": ends}}

    stage.forge(f"/containers/{stage.container('box').id}/json", lacking)


@strike("alias.short-id", "the container is connected anew, with the short ID for an alias", engines=">=26")
def _(stage: Stage) -> None:
    network, box = stage.network("net"), stage.container("box")
    stage.host.disconnect(network, box)
    stage.host.engine.api.connect_container_to_network(box.id, network.id, aliases=[box.id[:12]])


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
