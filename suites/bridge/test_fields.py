"""What the engine shows of a network and of a container on it, and under which names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import interface, output
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds

_ALWAYS = {
    *("Name", "Id", "Created", "Scope", "Driver", "EnableIPv6", "IPAM", "Internal"),
    *("Attachable", "Ingress", "ConfigFrom", "ConfigOnly", "Containers", "Options", "Labels"),
}


@pytest.mark.fact("inspect.fields")
@pytest.mark.shared
def test_network_inspect_says_whether_it_has_ipv4(host: Host, act: Act, claim: Claim) -> None:
    """`docker network inspect` says of a network whether it has IPv4, as EnableIPv4."""
    network = host.network("net")

    with act:
        said = network.inspect()
        claim.show("docker network inspect", json.dumps(said, indent=2))

    claim.control(holds("older fields", set(said) >= _ALWAYS, set(said), expected="all fifteen", control=True))
    claim.judge(equal("EnableIPv4 of a network that has it", said.get("EnableIPv4"), True))


@strike("inspect.fields", "the engine's answer lacks EnableIPv4", engines=">=28")
def _(stage: Stage) -> None:
    def lacking(said: Any) -> Any:
        return {field: value for field, value in said.items() if field != "EnableIPv4"}

    stage.forge(f"/networks/{stage.network('net').id}", lacking)


@strike("inspect.fields", "the engine's answer has EnableIPv4", engines="<28")
def _(stage: Stage) -> None:
    stage.forge(f"/networks/{stage.network('net').id}", lambda said: said | {"EnableIPv4": True})


@pytest.mark.fact("inspect.top-level-address")
@pytest.mark.shared
def test_address_on_default_bridge_is_shown_outside_networks_too(host: Host, act: Act, claim: Claim) -> None:
    """The newest API shows the address of a container on the default bridge as NetworkSettings.IPAddress, too."""
    box = host.container("box")
    (address,) = interface(box.vantage, "eth0").ipv4

    with act:
        box.refresh()
        shown = box.said["NetworkSettings"].get("IPAddress")
        claim.show("docker inspect: NetworkSettings", json.dumps(box.said["NetworkSettings"], indent=2))
        claim.show("ip -4 addr in the container", output(box.vantage, "ip", "-4", "addr"))

    claim.judge(equal("NetworkSettings.IPAddress", shown, str(address.ip)))


@strike("inspect.top-level-address", "the container is moved to a user-defined network", engines="<29")
def _(stage: Stage) -> None:
    box = stage.container("box")
    stage.host.disconnect(stage.host.predefined("bridge"), box)
    stage.host.connect(stage.host.network("user"), box)


@strike("inspect.top-level-address", "the engine answers as it does to a client of API 1.51", engines=">=29")
def _(stage: Stage) -> None:
    box = stage.container("box")
    shown = {"IPAddress": box.address}
    stage.forge(f"/containers/{box.id}/json", lambda said: said | {"NetworkSettings": said["NetworkSettings"] | shown})


@pytest.mark.fact("inspect.ip-from-outside")
@pytest.mark.shared
def test_inspect_shows_the_address_that_the_container_has(host: Host, act: Act, claim: Claim) -> None:
    """`docker container inspect` shows the address that a container on the default bridge has inside."""
    box = host.container("box")

    with act:
        box.refresh()
        shown = box.networks["bridge"]
        ends = interface(box.vantage, "eth0").ipv4
        claim.show("docker container inspect: NetworkSettings.Networks", json.dumps(box.networks, indent=2))
        claim.show("ip -4 addr show eth0 in the container", output(box.vantage, "ip", "-4", "addr", "show", "eth0"))

    said = f"{shown['IPAddress']}/{shown['IPPrefixLen']}"
    claim.judge(equal("address in the container, beside the one shown", list(map(str, ends)), [said], vantage=box.name))


@strike("inspect.ip-from-outside", "the container's address is changed by hand")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip addr add 10.77.9.9/32 dev eth0")


@strike("inspect.ip-from-outside", "the engine shows another address")
def _(stage: Stage) -> None:
    box = stage.container("box")
    other = box.networks | {"bridge": box.networks["bridge"] | {"IPAddress": "203.0.113.9"}}
    settings = box.said["NetworkSettings"] | {"Networks": other}
    stage.forge(f"/containers/{box.id}/json", lambda said: said | {"NetworkSettings": settings})


@pytest.mark.fact("inspect.containers-entry")
def test_network_inspect_shows_running_containers(host: Host, act: Act, claim: Claim) -> None:
    """`docker network inspect` shows each container that runs on a network, with its MAC and IPv4 address."""
    web, idle, done = host.container("web"), host.container("idle", start=False), host.container("done")
    host.stop(done)

    with act:
        web.refresh()
        listed = host.predefined("bridge").inspect()["Containers"]
        eth0 = interface(web.vantage, "eth0")
        claim.show("docker network inspect bridge: Containers", json.dumps(listed, indent=2))
        claim.show("ip addr show eth0 in the container", output(web.vantage, "ip", "addr", "show", "eth0"))

    told = listed.get(web.id) or {}
    claim.judge(
        equal("shown, of one that runs, one created and one stopped", _names(listed, web, idle, done), [web.name]),
        equal("Name", told.get("Name"), web.name),
        equal("EndpointID", told.get("EndpointID"), web.networks["bridge"]["EndpointID"]),
        equal("MacAddress, beside eth0's", told.get("MacAddress"), eth0.mac, vantage=web.name),
        equal("IPv4Address, beside eth0's", [told.get("IPv4Address")], list(map(str, eth0.ipv4)), vantage=web.name),
    )


def _names(listed: dict[str, Any], *containers: Container) -> list[str]:
    return [container.name for container in containers if container.id in listed]


@strike("inspect.containers-entry", "the container that was stopped is started again")
def _(stage: Stage) -> None:
    stage.host.start(stage.container("done"))


@strike("inspect.containers-entry", "the container's MAC address is changed by hand")
def _(stage: Stage) -> None:
    stage.container("web").vantage.run("ip link set eth0 address 06:00:00:00:00:07")


@strike("inspect.containers-entry", "the container has a second address")
def _(stage: Stage) -> None:
    stage.container("web").vantage.run("ip addr add 10.77.9.9/32 dev eth0")


@strike("inspect.containers-entry", "the engine shows no container")
def _(stage: Stage) -> None:
    stage.forge("/networks/bridge", lambda said: said | {"Containers": {}})
