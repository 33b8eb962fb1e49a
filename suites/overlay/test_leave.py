"""A node that leaves its swarm."""

from __future__ import annotations

import contextlib

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.lab.wait import until
from netfacts.model.errors import NetfactsError
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp, query, resolve
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen
from suites.overlay.gossip import await_gossip

pytestmark = pytest.mark.usefixtures("swarm")

_SWARM_SCOPE = "swarm"
_DNS = "127.0.0.11"
_LEFT_S = 20.0


class _Unparted(NetfactsError):
    pass


@pytest.mark.fact("swarm.leave")
@pytest.mark.own_lab
def test_overlay_and_names_go_with_a_node_that_leaves(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """When a node has left, the other neither resolves nor reaches its containers, and it has no overlays itself.

    host [ web, other ]══════ mesh ══════[ box ] host2, which leaves
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, other = host.container("web", network=mesh), host.container("other", network=mesh)
    box = host2.container("box", mode=mesh.name)
    act.settle(lambda: await_gossip(mesh, web, box))

    with act:
        address, before = box.address_on(mesh.name), _of_swarm(host2)
        (named,), (reached,) = resolve(web.vantage, box.name), ask(icmp(web.vantage, address))
        host2.leave_swarm()
        _await_parting(host2, box.name, web)
        gone, stayed = resolve(web.vantage, box.name, other.name)
        (answer,) = ask(icmp(web.vantage, address))
        after = _of_swarm(host2)

    claim.show("networks of scope swarm on the node, before and after", f"{', '.join(before)}\n{', '.join(after)}")
    claim.control(
        equal("networks of scope swarm on the node, before", before, sorted(["ingress", mesh.name]), control=True),
        *(seen(one, Outcome.CONNECTED, control=True) for one in (named, reached, stayed)),
    )
    claim.judge(
        seen(gone, Outcome.NAME_NOT_FOUND),
        seen(answer, Outcome.TIMED_OUT, Outcome.UNREACHABLE),
        equal("networks of scope swarm on the node that left", after, [], vantage=host2.name),
    )


def _await_parting(host: Host, gone: str, container: Container) -> None:
    """Wait until a container's DNS server has no such name, and a host no networks of the swarm's.

    An engine waits five seconds for ingress to go, and then says that it has left. No error where one of them never
    goes: that is for the check to see.
    """
    with contextlib.suppress(_Unparted):
        until(
            lambda: not (query(container.vantage, _DNS, gone).records or _of_swarm(host)),
            what=f"{gone} and the networks of {host.name} to go",
            timeout_s=_LEFT_S,
            error=_Unparted,
        )


def _of_swarm(host: Host) -> list[str]:
    return sorted(said["Name"] for said in host.engine.api.networks() if said["Scope"] == _SWARM_SCOPE)


@strike("swarm.leave", "the second host's engine says that it has left, and has not")
def _(stage: Stage) -> None:
    stage.hosts["host2"].engine.api.leave_swarm = lambda *_, **__: True  # type: ignore[method-assign]


@strike("swarm.leave", "a container that stays has the name of the one that went for an alias")
def _(stage: Stage) -> None:
    stage.host.container("heir", network=stage.network("mesh"), aliases=[stage.container("box", "host2").name])
