"""macvlan networks without a parent: containers that have nobody but each other."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import links, output
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Host, Network
from netfacts.verdict import equal, seen, source_is

_PORT = 8080
# A container asks for a neighbour's MAC three times, a second apart, before it gives up; longer on emulated machines.
_NO_ANSWER_S = 10.0


@pytest.mark.own_segment
@pytest.mark.fact("macvlan.no-parent")
def test_network_without_parent_has_a_dummy_and_is_closed(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """Without -o parent= a dummy comes and goes with the network, whose containers reach each other alone.

    [box], [other] ── alone ── dummy of host          host ── lan ── client: all of one subnet, were they on one segment
    """
    lan = host.machine.lab.segment("lan").ipv4
    before = _dummies(host)
    alone = host.network("alone", driver="macvlan", subnet=str(lan))
    # No other check's: whom the client has met at an address it looks for there for a while, and hears nothing.
    box = host.container("box", network=alone, address=str(lan[187]))
    other = host.container("other", network=alone, address=str(lan[188]))
    listen(box.vantage, _PORT)
    listener = listen(client)
    (direct,) = ask(tcp(host.vantage, client.machine.address, listener.port))
    claim.control(seen(direct, Outcome.CONNECTED, control=True))

    with act:
        during = _dummies(host)
        (among,) = ask(tcp(other.vantage, box.address, _PORT))
        apart = ask(
            tcp(client, box.address, _PORT, timeout_s=_NO_ANSWER_S),
            tcp(host.vantage, box.address, _PORT, timeout_s=_NO_ANSWER_S),
            tcp(box.vantage, client.machine.address, listener.port, timeout_s=_NO_ANSWER_S),
        )
        claim.show("ip -d link show type dummy", output(host.vantage, "ip", "-d", "link", "show", "type", "dummy"))
    for container in (box, other):
        host.stop(container)
    host.remove(alone)

    claim.judge(
        equal("dummies that the network has brought", during - before, {_dummy(alone)}, vantage=host.vantage),
        seen(among, Outcome.CONNECTED),
        source_is(among, str(lan[188])),
        *(seen(answer, Outcome.UNREACHABLE) for answer in apart),
        equal("dummies of the host afterwards", _dummies(host), before, vantage=host.vantage),
    )


def _dummy(network: Network) -> str:
    return f"dm-{network.id[:12]}"


def _dummies(host: Host) -> set[str]:
    return {link.name for link in links(host.vantage) if link.kind == "dummy"}


@tamper("macvlan.no-parent", "the engine takes the host's interface for a parent")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"options": {"parent": "eth0"}} if request.get("driver") == "macvlan" else {})


@strike("macvlan.no-parent", "one container's interface is down")
def _(stage: Stage) -> None:
    stage.container("other").vantage.run("ip link set eth0 down")


@strike("macvlan.no-parent", "the host gets a macvlan interface of its own on the dummy")
def _(stage: Stage) -> None:
    vantage = stage.host.vantage
    vantage.run(f"ip link add shim link {_dummy(stage.network('alone'))} type macvlan mode bridge")
    vantage.run("ip link set shim up")
    vantage.run(f"ip route add {stage.container('box').address}/32 dev shim src {stage.host.address}")


@strike("macvlan.no-parent", "somebody makes a dummy that nobody takes away")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip link add left type dummy")


@strike("macvlan.no-parent", "the engine says that it has removed the network, and has not")
def _(stage: Stage) -> None:
    # Not the engine's own call: what is removed after the check is removed by that.
    stage.host.remove = lambda *_: None  # type: ignore[method-assign]
