"""What `docker network inspect bridge` says."""

from __future__ import annotations

import json

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike
from netfacts.observe import interface, output
from netfacts.topology import Host
from netfacts.verdict import equal

_NAMED = "com.docker.network.bridge."
_OPTIONS = {
    f"{_NAMED}default_bridge": "true",
    f"{_NAMED}enable_icc": "true",
    f"{_NAMED}enable_ip_masquerade": "true",
    f"{_NAMED}host_binding_ipv4": "0.0.0.0",
    f"{_NAMED}name": "docker0",
    "com.docker.network.driver.mtu": "1500",
}


@pytest.mark.fact("inspect.gateway-is-docker0")
def test_gateway_of_bridge_is_docker0_after_first_start(host: Host, act: Act, claim: Claim) -> None:
    """After an engine's very first start, the network bridge shows docker0's address as its Gateway."""
    claim.control(equal("IPv4 addresses of docker0", len(interface(host.vantage, "docker0").ipv4), 1, control=True))

    with act:
        (docker0,) = interface(host.vantage, "docker0").ipv4
        bridge = host.predefined("bridge")
        claim.show("docker network inspect bridge: IPAM", json.dumps(bridge.inspect()["IPAM"], indent=2))
        claim.show("ip -4 addr show docker0", output(host.vantage, "ip", "-4", "addr", "show", "docker0"))

    claim.judge(equal("Gateway of the network bridge, as the engine shows it", bridge.gateway, str(docker0.ip)))


@strike("inspect.gateway-is-docker0", "docker0 is given another address by hand", engines=">=23")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    docker0 = interface(stage.host.vantage, "docker0")
    (old,) = docker0.ipv4
    # In this order: with the first address of a subnet go all others.
    netlink.do("addr", "del", index=docker0.index, address=str(old.ip), prefixlen=old.network.prefixlen)
    netlink.do("addr", "add", index=docker0.index, address=str(old.ip + 98), prefixlen=old.network.prefixlen)


@strike("inspect.gateway-is-docker0", "the daemon is restarted: no longer its first start", engines="<23")
def _(stage: Stage) -> None:
    stage.host.engine.stop()
    stage.host.engine.start()


@pytest.mark.fact("inspect.bridge-options")
def test_bridge_lists_its_options(host: Host, act: Act, claim: Claim) -> None:
    """The network bridge lists the six options that it has by default."""
    bridge = host.predefined("bridge")

    with act:
        options = bridge.inspect()["Options"]
        claim.show("docker network inspect bridge: Options", json.dumps(options, indent=2))

    claim.judge(*(equal(f"option {name}", options.get(name), value) for name, value in _OPTIONS.items()))


flags("inspect.bridge-options", "--icc=false", "--ip-masq=false", "--ip=127.0.0.1", "--mtu=1400")
