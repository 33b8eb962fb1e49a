"""A node that was cut off from its overlay, and comes back."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.probe import resolve
from netfacts.topology import Host
from netfacts.verdict import equal, seen
from suites.overlay.gossip import await_gossip, await_names
from suites.overlay.partition import await_loss, cut, mend

pytestmark = pytest.mark.usefixtures("swarm")

# What is not brought back when the nodes meet again comes with what they tell each other once a minute.
_BACK_S = 65.0


@pytest.mark.fact("overlay.rejoin")
@pytest.mark.own_lab
def test_names_come_back_with_a_node(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """After a node was cut off until the others took it for lost, names resolve on both sides as before.

    host [ web ]══════ mesh ══ cut, mended ══[ box ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, box = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    act.settle(lambda: await_gossip(mesh, web, box))
    before = [*resolve(web.vantage, box.name), *resolve(box.vantage, web.name)]
    claim.control(*(seen(found, Outcome.CONNECTED, control=True) for found in before))

    with act:
        cut(host, host2)
        await_loss(web, box)
        alone = [*resolve(web.vantage, box.name), *resolve(box.vantage, web.name)]
        mend(host, host2)
        for here, there in ((web, box), (box, web)):
            await_names({there.name: [there.address_on(mesh.name)]}, here, timeout_s=_BACK_S)
        after = [*resolve(web.vantage, box.name), *resolve(box.vantage, web.name)]

    claim.control(*(seen(found, Outcome.NAME_NOT_FOUND, control=True) for found in alone))
    claim.show(
        "names while the nodes were apart", "\n".join(f"{one.vantage}: {one.name} {one.outcome}" for one in alone)
    )
    claim.judge(
        *(
            equal(
                f"addresses of {one.name}, after the nodes were apart",
                list(one.addresses),
                [there.address_on(mesh.name)],
                vantage=one.vantage,
            )
            for one, there in zip(after, (box, web), strict=True)
        )
    )


@strike("overlay.rejoin", "port 7946 stays closed between the nodes")
def _(stage: Stage) -> None:
    for protocol in ("tcp", "udp"):
        stage.hosts["host2"].engine.run(f"iptables -I INPUT -p {protocol} --dport 7946 -j DROP")
