"""Networks and rules that an engine finds when it takes over."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from fixtures.takeover import Takeover
from netfacts.lab import Vantage
from netfacts.model.lab import LAN
from netfacts.model.verdict import Outcome
from netfacts.observe import Ruleset, output, rules
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is

pytestmark = pytest.mark.takeover

_PORT = 8080
# Nobody else's on the segment.
_ADDRESS = str(LAN.ipv4[77])


@pytest.mark.fact("carry.macvlan")
def test_engine_starts_with_an_old_macvlan_network(
    host: Host, client: Vantage, act: Act, claim: Claim, takeover: Takeover
) -> None:
    """An engine starts with a macvlan network of before, and its container is on the segment again.

    [box] ── segment ── eth0 of host ── lan ── client
    """
    segment = host.network("segment", driver="macvlan", subnet=str(LAN.ipv4), options={"parent": "eth0"})
    box = host.container("box", network=segment, address=_ADDRESS, restart="always")
    listen(box.vantage, _PORT)
    takeover(again=[box])

    with act:
        (answer,) = ask(tcp(client, _ADDRESS, _PORT))
        claim.show("ip -d link show eth0, in the container", output(box.vantage, "ip", "-d", "link", "show", "eth0"))

    claim.judge(seen(answer, Outcome.CONNECTED), source_is(answer, client.machine.address))


@strike("carry.macvlan", "the container's interface is down")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 down")


@pytest.mark.fact("carry.internal")
def test_internal_network_stays_closed(host: Host, client: Vantage, act: Act, claim: Claim, takeover: Takeover) -> None:
    """A container on an --internal network of before still has no way out, and still reaches its network.

    [box, peer] ── inner (internal)     [other] ── net ── host ── lan ── client
    """
    inner, net = host.network("inner", internal=True), host.network("net")
    box, peer = (host.container(role, network=inner, restart="always") for role in ("box", "peer"))
    other = host.container("other", network=net, restart="always")
    port = listen(client).port
    takeover(again=[box, peer, other])

    with act:
        out, control = ask(*(tcp(one.vantage, client.machine.address, port, timeout_s=1.0) for one in (box, other)))
        (near,) = ask(icmp(box.vantage, peer.address))
        claim.show("iptables -S", host.engine.execute(["iptables", "-S"]).out)

    claim.control(seen(control, Outcome.CONNECTED, control=True))
    claim.judge(seen(out, Outcome.TIMED_OUT, Outcome.UNREACHABLE), seen(near, Outcome.CONNECTED))


@tamper("carry.internal", "the engine ignores --internal")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"internal": False}


@strike("carry.internal", "the network's bridge is down")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "set", index=netlink.index(stage.network("inner").bridge), state="down")


@pytest.mark.fact("carry.rules-once")
@pytest.mark.parametrize(
    "containers",
    [pytest.param("running", marks=pytest.mark.engine("--live-restore")), "restarted"],
    ids="containers={}".format,
)
def test_rules_stand_once(host: Host, act: Act, claim: Claim, takeover: Takeover, containers: str) -> None:
    """Every rule stands once, and there are as many DNAT and MASQUERADE rules for a network as before."""
    network = host.network("net")
    web = host.container("web", network=network, publish={f"{_PORT}/tcp": _PORT}, restart="always")
    before = rules(host.engine)
    takeover(again=[web])

    with act:
        after = rules(host.engine)
        claim.show("iptables-save, before", before.text())
        claim.show("iptables-save, after", after.text())

    claim.judge(
        equal("rules that stand twice", _doubles(after), []),
        *(
            equal(f"rules with {words}", _count(after, words), _count(before, words))
            for words in (f"-s {network.subnet} ! -o {network.bridge} -j MASQUERADE", f"--dport {_PORT} -j DNAT")
        ),
    )


def _doubles(ruleset: Ruleset) -> list[str]:
    counts = Counter((rule.table, rule.text) for rule in ruleset.rules)
    return [f"{table}: {text}" for (table, text), count in counts.items() if count > 1]


def _count(ruleset: Ruleset, words: str) -> int:
    return sum(words in rule.text for rule in ruleset.of("nat", "POSTROUTING") + ruleset.of("nat", "DOCKER"))


@strike("carry.rules-once", "the MASQUERADE rule of the network stands twice")
def _(stage: Stage) -> None:
    network = stage.network("net")
    stage.host.engine.run(f"iptables -t nat -A POSTROUTING -s {network.subnet} ! -o {network.bridge} -j MASQUERADE")


@strike("carry.rules-once", "the DNAT rule of the published port is gone")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f"--dport {_PORT} -j DNAT")
