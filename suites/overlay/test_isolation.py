"""Containers of two hosts on two overlays: who gets at whom."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.observe import output
from netfacts.probe import Probe, ask, listen, tcp
from netfacts.topology import Container, Host, Network
from netfacts.verdict import equal, seen
from suites.overlay.gossip import await_gossip

pytestmark = pytest.mark.usefixtures("swarm")

_PORT = 8080
_ONE, _TWO = "one", "two"
# A host that has a way out sends there what it knows no network for; one that has none says so at once.
_APART = (Outcome.TIMED_OUT, Outcome.UNREACHABLE)


@pytest.mark.fact("overlay.isolated")
def test_containers_on_different_overlays_are_apart(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Containers on different overlays don't reach each other, on one host or across hosts; on the same one they do.

    host [ web, near ]══════ one ══════[ far ] host2
    host [ shop      ]══════ two ══════[ box ] host2
    """
    one, two = (host.network(role, driver="overlay", attachable=True) for role in (_ONE, _TWO))
    web, near, far = host.container("web", network=one), host.container("near", network=one), _on(host2, "far", one)
    shop, box = host.container("shop", network=two), _on(host2, "box", two)
    for container in (web, shop):
        listen(container.vantage, _PORT)
    act.settle(lambda: await_gossip(one, web, far))
    act.settle(lambda: await_gossip(two, shop, box))

    with act:
        within = ask(_to(web, one, near), _to(web, one, far), _to(shop, two, box))
        across = ask(_to(web, one, shop), _to(web, one, box), _to(shop, two, near), _to(shop, two, far))
        claim.show(f"ip route in {box.name}", output(box.vantage, "ip", "route"))

    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in within))
    claim.control(
        equal(
            "who answered on the same overlay",
            [answer.name for answer in within],
            [web.name] * 2 + [shop.name],
            control=True,
        )
    )
    claim.judge(*(seen(answer, *_APART) for answer in across))


def _on(host: Host, role: str, network: Network) -> Container:
    """A container of a host that an overlay of another one's comes to."""
    return host.container(role, mode=network.name)


def _to(there: Container, network: Network, here: Container) -> Probe:
    return tcp(here.vantage, there.address_on(network.name), _PORT)


@strike("overlay.isolated", "a container of the first host is connected to the other's overlay as well")
def _(stage: Stage) -> None:
    stage.host.connect(stage.network(_ONE), stage.container("shop"))


@strike("overlay.isolated", "the second host's container is connected to the other's overlay as well")
def _(stage: Stage) -> None:
    stage.hosts["host2"].connect(stage.network(_ONE), stage.container("box", "host2"))
