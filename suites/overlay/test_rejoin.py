"""A node that was cut off from its overlay, and comes back."""

from __future__ import annotations

import time

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.topology import Host
from suites.overlay.gossip import await_gossip, await_reunion
from suites.overlay.partition import await_loss, cut, mend
from suites.overlay.survey import everyone, survey

pytestmark = pytest.mark.usefixtures("swarm")

# First a node has to hear again on which networks the lost one is, then to be told its names: each comes every half
# minute, from another node picked by chance, which may not know it yet itself. Of 17 returns two took 73 s.
_BACK_S = 140.0


@pytest.mark.fact("overlay.rejoin")
@pytest.mark.own_lab
def test_names_come_back_with_a_node(host: Host, host2: Host, host3: Host, act: Act, claim: Claim) -> None:
    """One node is cut off until the others took it for lost: these go on meeting, and with it all meet as before.

    host  [ web ]═══╦══ mesh ══ cut, mended ══[ far ] host3
    host2 [ box ]═══╝
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web = host.container("web", network=mesh)
    box, far = host2.container("box", mode=mesh.name), host3.container("far", mode=mesh.name)
    all_three, staying, parted = (web, box, far), everyone([web, box]), [(web, far), (box, far), (far, web), (far, box)]
    act.settle(lambda: await_gossip(mesh, *all_three))
    before = survey(mesh, all_three)
    claim.show("before", before.text())
    claim.control(*before.together(*everyone(all_three), control=True))

    with act:
        cut(host3, host, host2)
        await_loss(far, web, box)
        meanwhile = survey(mesh, all_three)
        mend(host3, host, host2)
        mended_at = time.monotonic()
        await_reunion(mesh, *all_three, timeout_s=_BACK_S)
        back_s = time.monotonic() - mended_at
        after = survey(mesh, all_three)

    claim.show("while the third node was cut off", meanwhile.text())
    claim.show("after it came back", after.text())
    claim.measure("from the end of the cut until names and addresses were back, or given up", round(back_s, 1), "s")
    claim.control(*meanwhile.apart(*parted))
    claim.judge(*meanwhile.together(*staying), *after.together(*everyone(all_three)))


@strike("overlay.rejoin", "port 7946 stays closed between the nodes")
def _(stage: Stage) -> None:
    for protocol in ("tcp", "udp"):
        stage.hosts["host3"].engine.run(f"iptables -I INPUT -p {protocol} --dport 7946 -j DROP")


@strike("overlay.rejoin", "the first host drops what the second, which is not cut off, sends to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -I INPUT -s {stage.hosts['host2'].address} -p udp --dport 4789 -j DROP")
