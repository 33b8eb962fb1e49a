"""The indexes of a veth pair's two ends."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.errors import LabError
from netfacts.observe import interface, output
from netfacts.topology import Host
from netfacts.verdict import holds


@pytest.mark.fact("veth.adjacent-index")
@pytest.mark.shared
def test_two_ends_of_a_pair_have_indexes_that_follow_each_other(host: Host, act: Act, claim: Claim) -> None:
    """The two ends of a container's veth pair have indexes that follow each other."""
    box = host.container("box")

    with act:
        eth0 = interface(box.vantage, "eth0")
        claim.show("ip link show eth0 in the container", output(box.vantage, "ip", "link", "show", "eth0"))

    ends = (eth0.index, eth0.peer_index or 0)
    claim.judge(
        holds(
            "indexes of eth0 and of the host's end",
            abs(ends[0] - ends[1]) == 1,
            ends,
            expected="one after the other",
            vantage=box.vantage,
        )
    )


@strike("veth.adjacent-index", "the pair is made anew, with eth0 inside the container from the start", engines="<28")
def _(stage: Stage) -> None:
    pid = stage.container("box").pid
    _link(stage, "del", "dev", "eth0", inside=True)
    _link(stage, "add", "nf0", "type", "veth", "peer", "name", "eth0", "netns", str(pid))


@strike("veth.adjacent-index", "the pair is made anew on the host, and one end moved to the container", engines=">=28")
def _(stage: Stage) -> None:
    pid = stage.container("box").pid
    _link(stage, "del", "dev", "eth0", inside=True)
    _link(stage, "add", "nf0", "type", "veth", "peer", "name", "nf1")
    _link(stage, "set", "nf1", "netns", str(pid))
    _link(stage, "set", "nf1", "name", "eth0", inside=True)


def _link(stage: Stage, *words: str, inside: bool = False) -> None:
    """Change links of the host, or inside the container."""
    box = stage.container("box")
    done = stage.host.machine.execute(["ip", "link", *words], net=box.vantage.net if inside else "")
    done.checked("could not change a link", LabError)
