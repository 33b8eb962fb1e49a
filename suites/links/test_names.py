"""Names that links give: aliases, their lines in /etc/hosts, and what is left of them on user-defined networks."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper, without
from netfacts.model.verdict import Outcome
from netfacts.probe import resolve
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds, seen

# A name that the lab's own DNS server knows.
_KNOWN = "resolver.lab"


@pytest.mark.fact("link.alias")
@pytest.mark.shared
def test_link_adds_its_alias_to_the_source_s_name(host: Host, act: Act, claim: Claim) -> None:
    """With --link source:alias the recipient knows the source by both; without an alias by its name alone."""
    source = host.container("source")
    alias = _alias(source)
    plain = host.container("plain", links={source.name: ""})
    aliased = host.container("aliased", links={source.name: alias})
    # Its resolver works: what it does not find is not there for it.
    (known,) = resolve(plain.vantage, _KNOWN)
    claim.control(seen(known, Outcome.CONNECTED, control=True))

    with act:
        both, (own, other) = resolve(aliased.vantage, alias, source.name), resolve(plain.vantage, source.name, alias)
        links = {container.name: container.said["HostConfig"]["Links"] for container in (plain, aliased)}

    claim.show("docker exec aliased cat /etc/hosts", _hosts(aliased))
    claim.show("docker exec plain cat /etc/hosts", _hosts(plain))
    claim.judge(
        *(equal(f"addresses of {one.name}", one.addresses, (source.address,), vantage=one.vantage) for one in both),
        equal(f"addresses of {own.name}", own.addresses, (source.address,), vantage=own.vantage),
        seen(other, Outcome.NAME_NOT_FOUND),
        equal("HostConfig.Links", links[plain.name], [f"/{source.name}:/{plain.name}/{source.name}"]),
        equal("HostConfig.Links", links[aliased.name], [f"/{source.name}:/{aliased.name}/{alias}"]),
    )


def _alias(source: Container) -> str:
    """An alias that is unlike in every check."""
    return f"alias-of-{source.name}"


@tamper("link.alias", "the engine ignores the alias")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"links": dict.fromkeys(request["links"], "")}


@strike("link.alias", "the alias stands in the other recipient's /etc/hosts as well")
def _(stage: Stage) -> None:
    source, plain = stage.container("source"), stage.container("plain")
    _write_hosts(stage, plain, f"{_hosts(plain)}{source.address} {_alias(source)}\n")


@strike("link.alias", "the alias stands alone in the recipient's /etc/hosts, in place of the source's name")
def _(stage: Stage) -> None:
    source, aliased = stage.container("source"), stage.container("aliased")
    _write_hosts(stage, aliased, f"{source.address} {_alias(source)}\n")


@pytest.mark.fact("link.hosts-updates")
def test_link_follows_the_source_to_its_next_address(host: Host, act: Act, claim: Claim) -> None:
    """When the source of a link restarts with another address, the recipient's /etc/hosts is brought up to date."""
    source = host.container("source")
    alias, former = _alias(source), source.address
    recipient = host.container("recipient", links={source.name: alias})
    (before,) = resolve(recipient.vantage, alias)
    claim.control(equal(f"addresses of {alias}", before.addresses, (former,), vantage=recipient.name, control=True))

    with act:
        host.stop(source)
        host.container("squatter")
        host.start(source)
        after = resolve(recipient.vantage, alias, source.name)

    moved = holds("address of the source", source.address != former, source.address, expected="another", control=True)
    claim.show("docker exec recipient cat /etc/hosts", _hosts(recipient))
    claim.control(moved)
    claim.judge(
        *(equal(f"addresses of {one.name}", one.addresses, (source.address,), vantage=one.vantage) for one in after),
        holds(
            "/etc/hosts of the recipient",
            former not in _hosts(recipient).split(),
            _hosts(recipient),
            expected="no line with the former address",
            vantage=recipient.name,
        ),
    )


@strike("link.hosts-updates", "the file that the engine writes is no longer the one that the recipient has")
def _(stage: Stage) -> None:
    path = stage.container("recipient").said["HostsPath"]
    stage.host.engine.run(f"sh -c 'busybox cp {path} {path}.new && busybox mv {path}.new {path}'")


@strike("link.hosts-updates", "somebody has written the source's address down under another name")
def _(stage: Stage) -> None:
    source, recipient = stage.container("source"), stage.container("recipient")
    _write_hosts(stage, recipient, f"{_hosts(recipient)}{source.address} till\n")


@pytest.mark.fact("link.user-net-alias-only")
@pytest.mark.shared
def test_link_on_a_user_network_is_an_alias_for_the_recipient_alone(host: Host, act: Act, claim: Claim) -> None:
    """On a user-defined network a link gives the recipient alone a DNS name: no line in /etc/hosts, no variables."""
    network = host.network("net")
    source, third = (host.container(role, network=network) for role in ("source", "third"))
    alias = _alias(source)
    recipient = host.container("recipient", network=network, links={source.name: alias})
    (known,) = resolve(third.vantage, source.name)
    claim.control(seen(known, Outcome.CONNECTED, control=True))

    with act:
        (found,), (elsewhere,) = resolve(recipient.vantage, alias), resolve(third.vantage, alias)
        environment = _environment(recipient)

    prefix = alias.upper().replace("-", "_")
    claim.show("docker exec recipient cat /etc/hosts", _hosts(recipient))
    claim.show("docker exec recipient env", "\n".join(environment))
    claim.judge(
        equal(f"addresses of {alias}", found.addresses, (source.address,), vantage=recipient.name),
        seen(elsewhere, Outcome.NAME_NOT_FOUND),
        holds(
            "/etc/hosts of the recipient",
            not {source.address, source.name, alias} & set(_hosts(recipient).split()),
            _hosts(recipient),
            expected="no line for the source",
            vantage=recipient.name,
        ),
        equal(
            "variables of the link",
            [variable for variable in environment if variable.startswith(f"{prefix}_")],
            [],
            vantage=recipient.name,
        ),
    )


@tamper("link.user-net-alias-only", "the engine ignores --link")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "links")


@tamper("link.user-net-alias-only", "the engine takes the link's alias for a network alias")
def _(request: dict[str, Any]) -> dict[str, Any]:
    source = request["name"].startswith("source")
    return request | {"aliases": [f"alias-of-{request['name']}"] if source else []}


@strike("link.user-net-alias-only", "the recipient's /etc/hosts has the source's line, as on the default bridge")
def _(stage: Stage) -> None:
    source, recipient = stage.container("source"), stage.container("recipient")
    _write_hosts(stage, recipient, f"{_hosts(recipient)}{source.address} {_alias(source)} {source.name}\n")


@tamper("link.user-net-alias-only", "the engine sets a link's variables, as on the default bridge")
def _(request: dict[str, Any]) -> dict[str, Any]:
    names = [alias.upper().replace("-", "_") for alias in request.get("links", {}).values()]
    return request | {"environment": {f"{name}_NAME": "/recipient/db" for name in names}}


def _environment(container: Container) -> list[str]:
    (text,) = container.engine.machine.read(f"/proc/{container.pid}/environ")
    return [entry for entry in (text or "").split("\0") if entry]


def _hosts(container: Container) -> str:
    (text,) = container.engine.machine.read("/etc/hosts", root=f"/proc/{container.pid}/root")
    return text or ""


def _write_hosts(stage: Stage, container: Container, text: str) -> None:
    stage.host.machine.agent.call("write", path=f"/proc/{container.pid}/root/etc/hosts", text=text)
