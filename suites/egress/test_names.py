"""What the default network is called, and what its device."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import links, output
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds

_DEVICE = "docker0"
_OPTION = "com.docker.network.bridge.name"
_UNKNOWN = f"network {_DEVICE} not found"


@pytest.mark.fact("bridge.names")
@pytest.mark.shared
def test_default_network_is_called_bridge_and_its_device_docker0(host: Host, act: Act, claim: Claim) -> None:
    """The default network is called bridge, and docker0 is the name of its device: no network is called that."""
    box = host.container("box")

    with act:
        named = [said["Name"] for said in host.engine.api.networks()]
        option = host.predefined().inspect()["Options"][_OPTION]
        box.refresh()
        ends = [link.peer_index for link in links(box.vantage) if link.kind == "veth"]
        masters = [link.master for link in links(host.vantage) if link.index in ends]
        words = refusal(lambda: host.container("lost", mode=_DEVICE))

    claim.show("docker network ls", "\n".join(named))
    claim.show("ip -d link show type bridge", output(host.vantage, "ip", "link", "show", "type", "bridge"))
    claim.show(f"docker run --network {_DEVICE}", words)
    claim.judge(
        equal(f"networks called {_DEVICE}", named.count(_DEVICE), 0),
        equal("networks of a container that was given none", list(box.networks), ["bridge"], vantage=box.name),
        equal(f"{_OPTION} of bridge", option, _DEVICE),
        equal("bridge to which the container's veth belongs", masters, [_DEVICE], vantage=host.name),
        holds(f"refusal of --network {_DEVICE}", _UNKNOWN in words, words, expected=_UNKNOWN),
    )


@strike("bridge.names", "somebody has made a network that is called docker0")
def _(stage: Stage) -> None:
    stage.host.engine.api.create_network(_DEVICE)


@strike("bridge.names", "the container is moved to another network")
def _(stage: Stage) -> None:
    box, other = stage.container("box"), stage.host.network("other")
    stage.host.disconnect(stage.host.predefined(), box)
    stage.host.connect(other, box)


@strike("bridge.names", "the container's veth is moved to a bridge that is called as the network is")
def _(stage: Stage) -> None:
    netlink, box = stage.host.machine.netlink, stage.container("box").vantage
    netlink.do("link", "add", ifname="bridge", kind="bridge")
    (peer,) = (link.peer_index for link in links(box) if link.kind == "veth")
    netlink.do("link", "set", index=peer, master=netlink.index("bridge"))


@strike("bridge.names", "the engine names another device")
def _(stage: Stage) -> None:
    def forged(said: Any) -> Any:
        return said | {"Options": said["Options"] | {_OPTION: "bridge"}}

    stage.forge("/networks/bridge", forged)
