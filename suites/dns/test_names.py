"""Names of containers: where they resolve, and where not."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import output
from netfacts.probe import ask, icmp, query, resolve
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen

# A name that the lab's own DNS server knows.
_KNOWN = "resolver.lab"


@pytest.mark.fact("dns.user-net-names")
@pytest.mark.shared
def test_user_network_resolves_names(host: Host, act: Act, claim: Claim) -> None:
    """On a user-defined network, containers resolve each other's names to their addresses."""
    shared = host.network("shared")
    web, box = host.container("web", network=shared), host.container("box", network=shared)

    with act:
        found = [*resolve(box.vantage, web.name), *resolve(web.vantage, box.name)]
        answer = query(box.vantage, "127.0.0.11", web.name)
        claim.show("/etc/resolv.conf in the container", _file(box, "/etc/resolv.conf"))
        claim.show(f"127.0.0.11, asked for {web.name}", f"{answer.outcome} {answer.rcode} {' '.join(answer.records)}")

    claim.judge(
        *(seen(name, Outcome.CONNECTED) for name in found),
        equal(f"addresses of {web.name}", found[0].addresses, (web.address,), vantage=box.vantage),
        equal(f"addresses of {box.name}", found[1].addresses, (box.address,), vantage=web.vantage),
    )


def _file(container: Container, path: str) -> str:
    (text,) = container.engine.machine.read(path, root=f"/proc/{container.pid}/root")
    return text or ""


@tamper("dns.user-net-names", "the engine ignores --network: the containers are on the default bridge")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("dns.user-net-names", "the rules that lead to the engine's server are flushed in one container")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -t nat -F", net=stage.container("box").vantage.net)


@pytest.mark.fact("dns.not-default-bridge")
@pytest.mark.shared
def test_default_bridge_resolves_no_names(host: Host, act: Act, claim: Claim) -> None:
    """Containers on the default bridge do not resolve each other's names."""
    box, other = host.container("box"), host.container("other")
    pings = ask(icmp(other.vantage, box.address), icmp(box.vantage, other.address))
    # Their resolvers work: what they do not find is not there for them.
    known = [*resolve(other.vantage, _KNOWN), *resolve(box.vantage, _KNOWN)]
    claim.control(
        *(seen(answer, Outcome.CONNECTED, control=True) for answer in pings),
        *(seen(name, Outcome.CONNECTED, control=True) for name in known),
    )

    with act:
        found = [*resolve(other.vantage, box.name), *resolve(box.vantage, other.name)]
        claim.show("/etc/hosts in a container", _file(other, "/etc/hosts"))

    claim.judge(*(seen(name, Outcome.NAME_NOT_FOUND) for name in found))


@strike("dns.not-default-bridge", "the second container's name stands in the first one's /etc/hosts")
def _(stage: Stage) -> None:
    _name(stage, "other", to="box")


def _name(stage: Stage, role: str, *, to: str) -> None:
    """Put a container's name into another one's /etc/hosts."""
    named, told = stage.container(role), stage.container(to)
    text = f"{_file(told, '/etc/hosts')}{named.address} {named.name}\n"
    stage.host.machine.agent.call("write", path=f"/proc/{told.pid}/root/etc/hosts", text=text)


@strike("dns.not-default-bridge", "both containers are connected to a user-defined network")
def _(stage: Stage) -> None:
    network = stage.host.network("shared")
    for role in ("box", "other"):
        stage.host.connect(network, stage.container(role))


@pytest.mark.fact("dns.scope")
def test_name_resolves_only_on_a_shared_user_network(host: Host, act: Act, claim: Claim) -> None:
    """A container's name resolves only for containers that share a user-defined network with it.

    web ─┐
    box ─┴─ near     both ─┬─ near     other ── far     plain ── bridge
                           └─ far
    """
    near, far = host.network("near"), host.network("far")
    web, box = host.container("web", network=near), host.container("box", network=near)
    both, other = host.container("both", network=far), host.container("other", network=far)
    plain = host.container("plain")
    host.connect(near, both)
    # Their resolvers work: what they do not find is not there for them.
    known = [*resolve(other.vantage, both.name), *resolve(web.vantage, both.name), *resolve(plain.vantage, _KNOWN)]
    claim.control(*(seen(found, Outcome.CONNECTED, control=True) for found in known))

    with act:
        sharing = [*resolve(box.vantage, web.name), *resolve(both.vantage, web.name)]
        strangers = ((other, web), (web, other), (plain, web))
        alone = [found for here, there in strangers for found in resolve(here.vantage, there.name)]
        claim.show("ip addr in the container that shares no network", output(other.vantage, "ip", "-4", "addr"))

    claim.judge(
        *(
            equal(f"{web.name} resolves to", found.addresses, (web.address,), vantage=found.vantage)
            for found in sharing
        ),
        *(seen(found, Outcome.NAME_NOT_FOUND) for found in alone),
    )


@strike("dns.scope", "the container that shares no network is connected to one")
def _(stage: Stage) -> None:
    stage.host.connect(stage.network("near"), stage.container("other"))


@strike("dns.scope", "the container that shares two networks is disconnected from one")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("near"), stage.container("both"))


@strike("dns.scope", "a container learns the name of one with which it shares no network")
def _(stage: Stage) -> None:
    _name(stage, "other", to="web")
