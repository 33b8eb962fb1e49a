"""The indexes of a veth pair's two ends."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
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
    box = stage.container("box")
    box.vantage.run("ip link del dev eth0")
    stage.host.vantage.run(f"ip link add nf0 type veth peer name eth0 netns {box.pid}")


@strike("veth.adjacent-index", "the pair is made anew on the host, and one end moved to the container", engines=">=28")
def _(stage: Stage) -> None:
    box = stage.container("box")
    box.vantage.run("ip link del dev eth0")
    stage.host.vantage.run("ip link add nf0 type veth peer name nf1")
    stage.host.vantage.run(f"ip link set nf1 netns {box.pid}")
    box.vantage.run("ip link set nf1 name eth0")
