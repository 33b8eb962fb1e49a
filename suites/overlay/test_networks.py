"""What a swarm makes of its own on each of its hosts, and which subnets its overlays have."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab.wait import until
from netfacts.model.errors import NetfactsError
from netfacts.observe import links
from netfacts.topology import Host
from netfacts.topology.request import ipam
from netfacts.verdict import equal, holds

_MADE_S = 30.0
_OWN = ["docker_gwbridge bridge local", "ingress overlay swarm"]


class _Unmade(NetfactsError):
    pass


@pytest.fixture
def alone(hosts: dict[str, Host]) -> dict[str, list[str]]:
    """Yields each host's networks from before it is part of a swarm."""
    return {name: _listed(host) for name, host in hosts.items()}


@pytest.mark.fact("swarm.networks")
@pytest.mark.swarm(furnished=False)
def test_hosts_of_a_swarm_have_two_networks_more(
    alone: dict[str, list[str]], swarm: object, hosts: dict[str, Host], act: Act, claim: Claim
) -> None:
    """Each host that becomes part of a swarm has two networks more: ingress and docker_gwbridge."""
    act.settle(lambda: _await_networks(hosts, alone))

    with act:
        now = {name: _listed(host) for name, host in hosts.items()}

    for name, listed in now.items():
        claim.show(
            f"docker network ls --format '{{{{.Name}}}} {{{{.Driver}}}} {{{{.Scope}}}}', on {name}", "\n".join(listed)
        )
    claim.judge(
        *(
            equal("networks that came with the swarm", sorted(set(now[name]) - set(alone[name])), _OWN, vantage=name)
            for name in hosts
        ),
        *(equal("networks that went", sorted(set(alone[name]) - set(now[name])), [], vantage=name) for name in hosts),
    )


def _listed(host: Host) -> list[str]:
    return sorted(f"{said['Name']} {said['Driver']} {said['Scope']}" for said in host.engine.api.networks())


def _await_networks(hosts: dict[str, Host], alone: dict[str, list[str]]) -> None:
    """Wait until every host has as many networks more; no error where one never has: that is for the check to see."""
    with contextlib.suppress(_Unmade):
        until(
            lambda: all(len(_listed(host)) >= len(alone[name]) + len(_OWN) for name, host in hosts.items()),
            what="networks that come with the swarm",
            timeout_s=_MADE_S,
            error=_Unmade,
        )


@strike("swarm.networks", "somebody removes ingress, as one does before making another")
def _(stage: Stage) -> None:
    stage.host.engine.api.remove_network("ingress")
    until(
        lambda: not any("ingress" in one for host in stage.hosts.values() for one in _listed(host)),
        what="ingress to go from all hosts",
        timeout_s=_MADE_S,
    )


@strike("swarm.networks", "the second host leaves the swarm again")
def _(stage: Stage) -> None:
    stage.hosts["host2"].leave_swarm()


@strike("swarm.networks", "the engine lists docker_gwbridge no more")
def _(stage: Stage) -> None:
    stage.forge("/networks", lambda listed: [said for said in listed if said["Name"] != "docker_gwbridge"])


# -- their subnets

_DEFAULT, _DEFAULT_SIZE = "10.0.0.0/8", 24
# No engine comes here by itself: it begins with the first of the subnets.
_POOL, _SIZE = "10.77.64.0/18", 26
# Of a pool that bridge networks take theirs from.
_FOREIGN = "172.30.8.0/24"


@pytest.mark.fact("swarm.addr-pool")
@pytest.mark.usefixtures("swarm")
@pytest.mark.parametrize(
    ("pool", "size"),
    [
        # In a swarm of its own, too: somebody's may have been made with another pool.
        pytest.param(_DEFAULT, _DEFAULT_SIZE, id="pool=default", marks=pytest.mark.swarm),
        pytest.param(_POOL, _SIZE, id="pool=own", marks=pytest.mark.swarm(pool=_POOL, subnet_size=_SIZE)),
    ],
)
def test_overlays_have_subnets_of_the_swarms_pool(host: Host, act: Act, claim: Claim, pool: str, size: int) -> None:
    """Overlays have /24s of 10.0.0.0/8, or subnets of the pool and the size that the swarm was made with."""
    meshes = [host.network(role, driver="overlay", attachable=True) for role in ("mesh", "second")]
    boxes = [host.container(role, network=mesh) for role, mesh in zip(("box", "other"), meshes, strict=True)]

    with act:
        named = [IPv4Network(host.predefined("ingress").subnet), *(IPv4Network(mesh.subnet) for mesh in meshes)]
        had = [
            [str(end) for link in links(box.vantage) for end in link.ipv4 if end.ip in subnet]
            for box, subnet in zip(boxes, named[1:], strict=True)
        ]

    claim.show("docker network inspect: subnets of ingress and of two overlays", "\n".join(map(str, named)))
    claim.show("addresses of containers on the two", "\n".join(map(str, had)))
    claim.judge(
        *(
            holds(
                f"subnet of {name}",
                subnet.subnet_of(IPv4Network(pool)) and subnet.prefixlen == size,
                subnet,
                expected=f"a /{size} of {pool}",
            )
            for name, subnet in zip(("ingress", *(mesh.name for mesh in meshes)), named, strict=True)
        ),
        holds("different subnets", len(set(named)) == len(named), named, expected=str(len(named))),
        *(
            equal(
                f"address of {box.name}, with the length of its prefix",
                had[number],
                [f"{box.address_on(mesh.name)}/{size}"],
            )
            for number, (box, mesh) in enumerate(zip(boxes, meshes, strict=True))
        ),
    )


@tamper("swarm.addr-pool", "the engine ignores --default-addr-pool")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"pool": "", "subnet_size": 0}


@tamper("swarm.addr-pool", "the engine ignores --default-addr-pool-mask-length")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"subnet_size": 0}


@tamper("swarm.addr-pool", "the engine takes an overlay's subnet from where it takes those of bridges")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"ipam": ipam(_FOREIGN, "", "")} if str(request.get("name", "")).startswith("second-") else {})
