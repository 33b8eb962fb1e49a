"""A group of joined containers as others see it: one address, one veth pair, traffic that any member may capture."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import capabilities, capture, interface, links, namespaces, other_end, output, serving, sockets
from netfacts.probe import ask, http, icmp, listen, tcp
from netfacts.topology import Container, Host
from netfacts.verdict import different, equal, holds, seen

_LOOPBACK = "127.0.0.1"
_PORT, _OTHER_PORT = 8080, 8081


def _httpd(port: int) -> list[str]:
    return ["httpd", "-f", "-p", str(port), "-h", "/www"]


@pytest.mark.fact("joined.group-single-ip")
def test_members_of_a_group_answer_at_one_address(host: Host, act: Act, claim: Claim) -> None:
    """Joined containers have a single address among them, where each member's service answers at its own port.

    host ── docker0 ── target: 8080 ══ joined: 8081
    """
    target = host.container("target", command=_httpd(_PORT))
    joined = host.container("joined", mode=f"container:{target.id}", command=_httpd(_OTHER_PORT))
    act.settle(partial(serving, target.vantage, _PORT))
    act.settle(partial(serving, joined.vantage, _OTHER_PORT))

    with act:
        target.refresh()
        joined.refresh()
        answers = ask(*(http(host.vantage, target.address, port) for port in (_PORT, _OTHER_PORT)))
        owners = {end.port: end.pids for end in sockets(target.vantage)}
        endpoints = host.predefined().inspect()["Containers"]
        claim.show("ip addr in the group", output(target.vantage, "ip", "addr"))

    found = [str(end.ip) for link in links(target.vantage) for end in link.ipv4 if not end.ip.is_loopback]
    listed = {one.name: endpoints[one.id]["IPv4Address"] for one in (target, joined) if one.id in endpoints}
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        equal(
            "who listens on the two ports", [owners.get(_PORT), owners.get(_OTHER_PORT)], [(target.pid,), (joined.pid,)]
        ),
        equal("IPv4 addresses of the group besides loopback", found, [target.address], vantage=target.name),
        equal("those of the group that docker network inspect lists", list(listed), [target.name]),
        equal("networks that docker inspect lists for the joined one", list(joined.networks), [], vantage=joined.name),
    )


@tamper("joined.group-single-ip", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("joined.group-single-ip", "the target is connected to a second network")
def _(stage: Stage) -> None:
    stage.host.connect(stage.host.network("second"), stage.container("target"))


@strike("joined.group-single-ip", "the joined container's service has ended")
def _(stage: Stage) -> None:
    stage.host.machine.kill(stage.container("joined").pid)


@strike("joined.group-single-ip", "the engine lists the joined container as an endpoint, too")
def _(stage: Stage) -> None:
    target, joined = stage.container("target"), stage.container("joined")

    def both(said: Any) -> Any:
        return said | {"Containers": said["Containers"] | {joined.id: said["Containers"][target.id]}}

    stage.forge("/networks/bridge", both)


@pytest.mark.fact("joined.not-host")
@pytest.mark.shared
def test_joined_container_is_in_the_targets_namespace_and_not_the_hosts(host: Host, act: Act, claim: Claim) -> None:
    """What is joined is the target's namespace; it is the host's only where the target is in host mode.

    target ══ joined      hosted ══ guest      (the second pair in the host's namespace)
    """
    target, hosted = host.container("target"), host.container("hosted", mode="host")
    joined = host.container("joined", mode=f"container:{target.id}")
    guest = host.container("guest", mode=f"container:{hosted.id}")
    of_target = listen(target.vantage, _PORT, address=_LOOPBACK)
    of_host = listen(host.vantage, address=_LOOPBACK)

    with act:
        spaces = {pid: namespaces(host.machine, pid)["net"] for pid in (1, target.pid, joined.pid, guest.pid)}
        near, far, hosts = ask(
            tcp(joined.vantage, _LOOPBACK, of_target.port),
            tcp(joined.vantage, _LOOPBACK, of_host.port),
            tcp(guest.vantage, _LOOPBACK, of_host.port),
        )

    claim.show("network namespaces: host, target, joined, guest", "\n".join(map(str, spaces.values())))
    claim.judge(
        equal("network namespace", spaces[joined.pid], spaces[target.pid], vantage=joined.name),
        different("network namespace, beside the host's", spaces[joined.pid], spaces[1], vantage=joined.name),
        equal("network namespace of one joined to host mode", spaces[guest.pid], spaces[1], vantage=guest.name),
        seen(near, Outcome.CONNECTED),
        seen(far, Outcome.REFUSED),
        seen(hosts, Outcome.CONNECTED),
    )


@tamper("joined.not-host", "the engine takes container:T for host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "host" if request["mode"].startswith("container:") else request["mode"]}


@tamper("joined.not-host", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "" if request["mode"].startswith("container:") else request["mode"]}


@strike("joined.not-host", "the host's loopback is reached from the group")
def _(stage: Stage) -> None:
    (of_host,) = (
        end.port for end in sockets(stage.host.vantage) if end.address == _LOOPBACK and end.port > _OTHER_PORT
    )
    listen(stage.container("target").vantage, of_host, address=_LOOPBACK)


@pytest.mark.fact("joined.sniff")
@pytest.mark.shared
def test_joined_container_captures_the_targets_traffic(host: Host, act: Act, claim: Claim) -> None:
    """A joined container can capture what passes the target's eth0; another one on the same bridge can't.

    host ── docker0 ─┬─ target ══ joined
                     └─ other
    """
    target, other = host.container("target"), host.container("other")
    joined = host.container("joined", mode=f"container:{target.id}")
    theirs, own = secrets.token_hex(8), secrets.token_hex(8)

    with act:
        # So that the bridge knows where either of them is.
        known = ask(icmp(target.vantage, other.address), icmp(host.vantage, target.address))
        with capture(joined.vantage, "eth0") as inside, capture(other.vantage, "eth0") as beside:
            pings = ask(icmp(host.vantage, target.address, nonce=theirs), icmp(host.vantage, other.address, nonce=own))
        capable = "NET_RAW" in capabilities(host.machine, joined.pid)

    caught, missed, heard = inside.carrying(theirs), beside.carrying(theirs), beside.carrying(own)
    claim.show(f"captured on eth0 of {joined.name}", inside.text(caught))
    claim.show(f"captured on eth0 of {other.name}", beside.text(heard + missed))
    claim.control(
        *(seen(answer, Outcome.CONNECTED, control=True) for answer in (*known, *pings)),
        holds(
            "its own traffic at eth0 of the other", bool(heard), beside.text(heard), expected="packets", control=True
        ),
    )
    claim.judge(
        holds("the target's traffic at eth0 of the joined one", bool(caught), inside.text(caught), expected="packets"),
        equal("packets of the target's at eth0 of the other", len(missed), 0, vantage=other.name),
        equal("NET_RAW, by which it may capture", capable, True, vantage=joined.name),
    )


@tamper("joined.sniff", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("joined.sniff", "the engine drops NET_RAW")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"cap_drop": ["NET_RAW"]}


@strike("joined.sniff", "the bridge is a hub: it learns no addresses")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip link set {stage.host.predefined().bridge} type bridge ageing_time 0 fdb_flush")


@pytest.mark.fact("joined.veth-multi")
def test_group_talks_over_lo_and_leaves_by_the_targets_veth(host: Host, act: Act, claim: Claim) -> None:
    """Joined containers talk to each other over lo, and to others by the one veth pair, which is the target's.

    target ══ joined      lo within, one eth0 ── veth ── docker0 ── host
    """
    target = host.container("target")
    before = {link.index for link in links(host.vantage)}
    joined = host.container("joined", mode=f"container:{target.id}")
    added = {link.index for link in links(host.vantage)} - before
    listener = listen(target.vantage, _PORT)
    gateway = str(interface(host.vantage, host.predefined().bridge).ipv4[0].ip)
    within, beyond = secrets.token_hex(8), secrets.token_hex(8)

    with act:
        target.refresh()
        port = _veth(host, target)
        with capture(host.vantage, port) as veth, capture(joined.vantage, "lo") as lo:
            answers = ask(
                tcp(joined.vantage, _LOOPBACK, listener.port, nonce=within),
                tcp(joined.vantage, target.address, listener.port, nonce=within),
                icmp(joined.vantage, gateway, nonce=beyond),
            )
        cards = [link.name for link in links(joined.vantage) if link.up]

    shown, passed, left = lo.carrying(within), veth.carrying(within), veth.carrying(beyond)
    claim.show(f"captured on {port}, on the host", veth.text(passed + left))
    claim.show("captured on lo of the group", lo.text())
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        equal("packets within the group that pass the veth", len(passed), 0, vantage=host.name),
        equal("where packets on lo go", {packet.destination for packet in shown}, {_LOOPBACK, target.address}),
        holds("packets to the gateway on the veth", bool(left), veth.text(left), expected="the ping's"),
        equal("links that the joined container added to the host", len(added), 0, vantage=host.name),
        equal("interfaces of the group", cards, ["lo", "eth0"], vantage=joined.name),
    )


def _veth(host: Host, container: Container) -> str:
    return other_end(interface(container.vantage, "eth0"), host.vantage).name


@tamper("joined.veth-multi", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("joined.veth-multi", "the group's own traffic is sent to the gateway, too")
def _(stage: Stage) -> None:
    net = stage.container("target").vantage.net
    gateway = interface(stage.host.vantage, stage.host.predefined().bridge).ipv4[0].ip
    stage.host.engine.run(f"iptables -t mangle -A OUTPUT -o lo -j TEE --gateway {gateway}", net=net)


@strike("joined.veth-multi", "the target is connected to a second network")
def _(stage: Stage) -> None:
    stage.host.connect(stage.host.network("second"), stage.container("target"))


@strike("joined.veth-multi", "the target's veth is no port of docker0")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "set", index=netlink.index(_veth(stage.host, stage.container("target"))), master=0)


@strike("joined.veth-multi", "lo is down")
def _(stage: Stage) -> None:
    stage.container("target").vantage.run("ip link set lo down")
