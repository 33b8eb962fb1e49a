"""What the engine refuses of networks, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.topology import Host, refusal
from netfacts.verdict import holds

_TAKEN = "already exists"
_IN_USE = "has active endpoints"
_HOST_MODE = "must be created in host network mode"
_EXHAUSTED = "all predefined address pools have been fully subnetted"
_BAD_REQUEST, _NOT_FOUND = 400, 404
# Room for two networks, of which docker0 takes the first.
_POOL = "--default-address-pool=base=10.77.0.0/24,size=25"
_FIRST_HALF = "10.77.0.0/25"


@pytest.mark.fact("net.unique-names")
def test_second_network_of_a_name_is_refused(host: Host, act: Act, claim: Claim) -> None:
    """The engine refuses to create a network under a name that another network has."""
    first = host.network("twin")

    with act:
        words = refusal(lambda: host.network("twin"))
        listed = [said["Id"][:12] for said in host.engine.api.networks() if said["Name"] == first.name]

    claim.show(f"docker network ls --filter name={first.name} -q", "\n".join(listed))
    known = not words or _TAKEN in words
    claim.control(holds("grounds of a refusal", known, words, expected=_TAKEN, control=True))
    claim.judge(holds(f"a second network called {first.name}", bool(words), words, expected="refused"))


@strike("net.unique-names", "the first network is removed before the second is created", engines=">=25")
def _(stage: Stage) -> None:
    stage.host.remove(stage.network("twin"))


@tamper("net.unique-names", "the request asks for CheckDuplicate", engines="<25")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"check_duplicate": True}


@pytest.mark.fact("net.rm-active")
def test_refusal_to_remove_a_network_names_who_is_on_it(host: Host, act: Act, claim: Claim) -> None:
    """Where `docker network rm` is refused since containers are on the network, the refusal names them."""
    network = host.network("net")
    box = host.container("box", network=network)

    with act:
        words = refusal(lambda: host.remove(network))

    claim.show(f"docker network rm {network.name}", words)
    claim.control(holds("grounds of the refusal", _IN_USE in words, words, expected=_IN_USE, control=True))
    claim.judge(holds("the refusal", box.name in words, words, expected=f"names {box.name}"))


@strike("net.rm-active", "another container takes the place of the one on the network", engines=">=28.1")
def _(stage: Stage) -> None:
    network = stage.network("net")
    stage.host.container("other", network=network)
    stage.host.disconnect(network, stage.container("box"))


@tamper("net.rm-active", "the network is called as the container is", engines="<28.1")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"name": request["name"].replace("net-", "box-")}


@pytest.mark.fact("connect.to-host")
def test_refusal_to_connect_to_host_names_host_network_mode(host: Host, act: Act, claim: Claim) -> None:
    """`docker network connect host` is refused: the container must be created in host network mode."""
    box = host.container("box")

    with act:
        words = refusal(lambda: host.connect(host.predefined("host"), box))

    claim.show("docker network connect host", words)
    claim.control(holds("the attempt", bool(words), words, expected="refused", control=True))
    claim.judge(holds("the refusal", _HOST_MODE in words, words, expected=_HOST_MODE))


@tamper("connect.to-host", "the container is in host mode already", engines=">=28.0.2")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "host"}


@strike("connect.to-host", "the engine refuses in the words of newer ones", engines="<28.0.2")
def _(stage: Stage) -> None:
    words = f"cannot connect container to host network - container {_HOST_MODE}"
    stage.forge("/connect", lambda _: {"message": words}, status=_BAD_REQUEST)


@pytest.mark.fact("pools.exhaust")
@pytest.mark.engine(_POOL)
def test_refusal_of_a_network_without_a_subnet_names_the_pools(host: Host, act: Act, claim: Claim) -> None:
    """Where no subnet is left, a new network is refused: all predefined address pools have been fully subnetted."""
    taken = [host.predefined("bridge"), host.network("first")]

    with act:
        words = refusal(lambda: host.network("second"))

    claim.show("subnets of the networks that there are", "\n".join(f"{one.name} {one.subnet}" for one in taken))
    claim.show("docker network create second", words)
    claim.control(holds("one network more", bool(words), words, expected="refused", control=True))
    claim.judge(holds("the refusal", _EXHAUSTED in words, words, expected=_EXHAUSTED))


@tamper("pools.exhaust", "the network is asked for with a subnet that is taken", engines=">=27")
def _(request: dict[str, Any]) -> dict[str, Any]:
    taken = {"Driver": "default", "Config": [{"Subnet": _FIRST_HALF}]}
    return request | ({"ipam": taken} if request["name"].startswith("second") else {})


@strike("pools.exhaust", "the engine refuses in the words of newer ones", engines="<27")
def _(stage: Stage) -> None:
    stage.forge("/networks/create", lambda _: {"message": _EXHAUSTED}, status=_NOT_FOUND)
