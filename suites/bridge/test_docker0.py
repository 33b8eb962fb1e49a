"""The device docker0: that it is there, and its ports."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import LiveLab
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage, of_machine
from netfacts.observe import bridge_ports, interface, links, output
from netfacts.topology import Host
from netfacts.verdict import equal

_BRIDGE = "docker0"


@pytest.mark.fact("docker0.exists")
def test_daemon_creates_docker0(live: LiveLab, host: Host, act: Act, claim: Claim) -> None:
    """A host on which a daemon was started for the first time has a Linux bridge called docker0."""
    without_engine = of_machine(live.lab["resolver"])
    claim.control(equal("docker0 where no daemon was ever started", _kind(without_engine, _BRIDGE), "", control=True))

    with act:
        kind = _kind(host.vantage, _BRIDGE)
        claim.show("ip -d link show", output(host.vantage, "ip", "-d", "link", "show"))

    claim.judge(equal("kind of the link docker0", kind, "bridge", vantage=host.vantage))


def _kind(vantage: Vantage, name: str) -> str:
    return next((link.kind for link in links(vantage) if link.name == name), "")


flags("docker0.exists", "--bridge=none")


@pytest.mark.fact("docker0.empty-bridge")
def test_docker0_gains_one_port_for_each_running_container(host: Host, act: Act, claim: Claim) -> None:
    """docker0 has no ports while no container runs, and one veth port for each that does."""
    host.require_alone()
    empty = _ports(host.vantage)
    running = [host.container(role) for role in ("web", "box")]
    host.container("idle", start=False)

    with act:
        full = _ports(host.vantage)
        ends = [interface(container.vantage, "eth0").peer_index for container in running]
        claim.show("ip link show master docker0", output(host.vantage, "ip", "link", "show", "master", _BRIDGE))

    claim.judge(
        equal("docker0's ports while no container runs", empty, [], vantage=host.vantage),
        equal(
            "docker0's ports while two run and a third does not: their veths",
            sorted(full),
            sorted(f"{end} veth" for end in ends),
            vantage=host.vantage,
        ),
    )


def _ports(vantage: Vantage) -> list[str]:
    return [f"{port.index} {port.kind}" for port in bridge_ports(vantage, _BRIDGE)]


@strike("docker0.empty-bridge", "one container's veth is taken off docker0")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    port, *_ = bridge_ports(stage.host.vantage, _BRIDGE)
    netlink.do("link", "set", index=port.index, master=0)


@strike("docker0.empty-bridge", "a stray veth takes the place of a container's on docker0")
def _(stage: Stage) -> None:
    netlink, box = stage.host.machine.netlink, stage.container("box").vantage
    netlink.do("link", "set", index=interface(box, "eth0").peer_index, master=0)
    netlink.do("link", "add", ifname="stray0", kind="veth", peer="stray1")
    netlink.do("link", "set", index=netlink.index("stray0"), master=netlink.index(_BRIDGE))


@strike("docker0.empty-bridge", "the container that was only created is started")
def _(stage: Stage) -> None:
    stage.host.start(stage.container("idle"))
