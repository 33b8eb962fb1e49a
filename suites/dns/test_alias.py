"""Further names of a container: its aliases, and names that it is given later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.probe import resolve
from netfacts.topology import Container, Host
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


@pytest.mark.fact("dns.name-required")
@pytest.mark.shared
def test_container_without_a_name_of_its_own_resolves(host: Host, act: Act, claim: Claim) -> None:
    """A container that was given no --name resolves by the name that the engine makes up for it."""
    network = host.network("net")
    other = host.container("other", network=network)
    # Names made from one that is unlike in every check.
    hostname, alias = f"heron-{other.name}", f"crane-{other.name}"
    box = host.container("box", network=network, named=False, hostname=hostname, aliases=[alias])
    name, address = box.name, box.address
    known = resolve(other.vantage, box.id[:12], hostname, alias)
    claim.control(*(seen(one, Outcome.CONNECTED, control=True) for one in known))

    with act:
        (found,) = resolve(other.vantage, name)

    told = [f"{one.name} {one.outcome} {' '.join(one.addresses)}" for one in (found, *known)]
    claim.show("getent hosts: the made-up name, then short ID, host name and alias", "\n".join(told))
    claim.judge(
        seen(found, Outcome.CONNECTED),
        equal(f"addresses of {name}", found.addresses, (address,), vantage=other.vantage),
    )


@strike("dns.name-required", "the container is given another name", engines=">=25")
def _(stage: Stage) -> None:
    stage.host.rename(stage.container("box"), "box")


@strike("dns.name-required", "the container is disconnected", engines=">=25")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("net"), stage.container("box"))


@strike("dns.name-required", "the made-up name stands in the other container's /etc/hosts", engines="<25")
def _(stage: Stage) -> None:
    _add_to_hosts(stage, stage.container("other"), stage.container("box"))


@tamper("dns.name-required", "somebody gives the container such a name by --name", engines="<25")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"name": request["name"] or "brave_heron"}


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
    _add_to_hosts(stage, stage.container("other"), stage.container("first"))


def _add_to_hosts(stage: Stage, container: Container, named: Container) -> None:
    path = f"/proc/{container.pid}/root/etc/hosts"
    (text,) = stage.host.machine.read(path)
    stage.host.machine.agent.call("write", path=path, text=f"{text}{named.address} {named.name}\n")


@strike("dns.rename", "the container is disconnected before it is renamed", engines="!=25.0.0")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("net"), stage.container("first"))
