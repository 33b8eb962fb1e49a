"""Network plugins: drivers that are processes of their own."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures import driver
from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, links, processes
from netfacts.probe import ask, icmp
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, seen

_PLUGIN = "outsider"


@pytest.mark.fact("remote.driver-protocol")
# An engine never forgets a plugin that it has spoken to.
@pytest.mark.own_lab
def test_container_gets_the_interface_that_the_plugin_made(host: Host, act: Act, claim: Claim) -> None:
    """On a network made with -d PLUGIN, a container's eth0 is the veth that the plugin made for its endpoint."""
    plugin = driver.start(host, _PLUGIN)

    with act:
        words = refusal(partial(_build, host))
        made = {link.name: link.index for link in links(host.vantage)}
        peers = [interface(box.vantage, "eth0").peer_index for box in host.containers if box.pid]
        answers = ask(*(icmp(host.vantage, box.address) for box in host.containers if box.pid))

    claim.show(f"docker network create -d {_PLUGIN} elsewhere", words)
    claim.show("what the plugin was asked", "\n".join(plugin.calls()))
    wanted = [made.get(plugin.link(_endpoint(box))) for box in host.containers if box.pid]
    claim.judge(
        equal("refusal", words, ""),
        equal("index of the other end of eth0", peers, wanted),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
    )


def _build(host: Host) -> None:
    host.container("box", network=host.network("elsewhere", driver=_PLUGIN))


def _endpoint(container: Container) -> str:
    (endpoint,) = container.networks.values()
    return str(endpoint["EndpointID"])


@strike("remote.driver-protocol", "the plugin is killed")
def _(stage: Stage) -> None:
    machine = stage.host.machine
    machine.kill(*(one.pid for one in processes(machine) if any(word.endswith("/plugin.py") for word in one.argv)))


@tamper("remote.driver-protocol", "the engine ignores --driver")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"driver": "bridge"}
