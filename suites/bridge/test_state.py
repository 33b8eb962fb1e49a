"""The state of docker0: carrier, spanning tree, MTU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import bridge_ports, interface, other_end, output
from netfacts.probe import Answer, ask, icmp
from netfacts.topology import Container, Host, Network
from netfacts.verdict import equal, seen

_BRIDGE = "docker0"
_MTU_BYTES = 1500
# Of IPv4 and of ICMP, without options.
_HEADER_BYTES = 28


@pytest.mark.fact("docker0.carrier")
def test_docker0_has_carrier_while_a_container_runs(host: Host, act: Act, claim: Claim) -> None:
    """docker0 has carrier while a container runs on it, and NO-CARRIER while none does."""
    host.require_alone()
    box = host.container("box")

    with act:
        answers, found = [_ping_gateway(host, box)], [_has_carrier(host)]
        host.stop(box)
        found.append(_has_carrier(host))
        claim.show("ip link show docker0, without a container", output(host.vantage, "ip", "link", "show", _BRIDGE))
        host.start(box)
        answers.append(_ping_gateway(host, box))
        found.append(_has_carrier(host))
        claim.show("ip link show docker0, with a container", output(host.vantage, "ip", "link", "show", _BRIDGE))

    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        equal("carrier of docker0: a container runs, is stopped, runs again", found, [True, False, True]),
    )


def _ping_gateway(host: Host, box: Container) -> Answer:
    """Once something has passed, the kernel has taken note of the carrier."""
    (docker0,) = interface(host.vantage, _BRIDGE).ipv4
    return ask(icmp(box.vantage, str(docker0.ip)))[0]


def _has_carrier(host: Host) -> bool:
    docker0 = interface(host.vantage, _BRIDGE)
    return docker0.up and docker0.carrier


@strike("docker0.carrier", "the container's veth is taken off docker0")
def _(stage: Stage) -> None:
    port, *_ = bridge_ports(stage.host.vantage, _BRIDGE)
    stage.host.machine.netlink.do("link", "set", index=port.index, master=0)


@strike("docker0.carrier", "another veth that is up is a port of docker0 as well")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "add", ifname="stray0", kind="veth", peer="stray1")
    netlink.do("link", "set", index=netlink.index("stray0"), master=netlink.index(_BRIDGE))
    for name in ("stray0", "stray1"):
        netlink.do("link", "set", index=netlink.index(name), state="up")


@pytest.mark.fact("docker0.stp-off")
@pytest.mark.shared
def test_docker0_has_no_spanning_tree_and_an_id_of_its_mac(host: Host, act: Act, claim: Claim) -> None:
    """docker0 has no spanning tree, and its bridge id is 8000. and its MAC address, with a container on it too."""
    host.container("box")

    with act:
        stp, identity = host.machine.read(
            *(f"/sys/class/net/{_BRIDGE}/bridge/{name}" for name in ("stp_state", "bridge_id"))
        )
        mac = interface(host.vantage, _BRIDGE).mac
        claim.show("ip -d link show docker0", output(host.vantage, "ip", "-d", "link", "show", _BRIDGE))

    claim.judge(
        equal("stp_state of docker0", (stp or "").strip(), "0", vantage=host.vantage),
        equal("bridge_id of docker0", (identity or "").strip(), f"8000.{mac.replace(':', '')}", vantage=host.vantage),
    )


@strike("docker0.stp-off", "somebody switches spanning tree on")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {_BRIDGE} type bridge stp_state 1")


@strike("docker0.stp-off", "somebody gives the bridge another priority")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {_BRIDGE} type bridge priority 4096")


@pytest.mark.fact("mtu.1500")
@pytest.mark.shared
@pytest.mark.parametrize(
    "find", [Host.predefined, lambda host: host.network("user")], ids=["network=bridge", "network=user"]
)
def test_bridge_and_containers_have_an_mtu_of_1500(
    host: Host, act: Act, claim: Claim, find: Callable[[Host], Network]
) -> None:
    """A bridge and the containers on it have an MTU of 1500, and larger packets do not pass."""
    network = find(host)
    box = host.container("box", network=network)

    with act:
        bridge, eth0 = interface(host.vantage, network.bridge), interface(box.vantage, "eth0")
        port = other_end(eth0, host.vantage)
        gateway = str(bridge.ipv4[0].ip)
        room = _MTU_BYTES - _HEADER_BYTES
        fits, exceeds = ask(*(icmp(box.vantage, gateway, size=size, dont_fragment=True) for size in (room, room + 1)))
        claim.show("ip link show eth0 in the container", output(box.vantage, "ip", "link", "show", "eth0"))

    claim.judge(
        *(equal(f"MTU of {link.name}", link.mtu_bytes, _MTU_BYTES) for link in (bridge, port, eth0)),
        seen(fits, Outcome.CONNECTED),
        seen(exceeds, Outcome.TOO_BIG),
    )


flags("mtu.1500", "--mtu=1400")


@tamper("mtu.1500", "networks are made with an MTU of 1600")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.driver.mtu": "1600"}}


@strike("mtu.1500", "the container's eth0 is given an MTU of 1501")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 mtu 1501")
