"""What host mode takes away of a container's isolation, and what it leaves."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.observe import capabilities, capture, interface, namespaces, serving, sockets
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import different, equal, holds, seen

_LOOPBACK = "127.0.0.1"
_PORT = 8080
# busybox keeps its log in System V shared memory, where `logread` finds it.
_SYSLOGD = ("busybox", "syslogd", "-n", "-C16")
_MTU_BYTES = 1400


@pytest.mark.fact("host.ipc-claim")
def test_host_mode_containers_share_no_memory_but_loopback(host: Host, act: Act, claim: Claim) -> None:
    """Host-mode containers see nothing of each other's shared memory or processes; they meet on the host's loopback."""
    box = host.container("box", mode="host", command=_SYSLOGD)
    other = host.container("other", mode="host", command=("httpd", "-f", "-p", str(_PORT), "-h", "/www"))
    act.settle(partial(serving, other.vantage, _PORT))
    nonce = secrets.token_hex(8)
    box.run("busybox", "logger", nonce).checked("could not write into the log", ProbeError)
    own = box.run("busybox", "logread")
    claim.control(holds("its own shared memory", nonce in own.out, own.out, expected=nonce, control=True))

    with act:
        there, listed = other.run("busybox", "logread"), other.run("ps")
        spaces = {pid: namespaces(host.machine, pid) for pid in (1, box.pid, other.pid)}
        page = box.run("busybox", "timeout", "2", "wget", "-qO-", f"http://{_LOOPBACK}:{_PORT}/")

    claim.control(holds("its own process", "httpd" in listed.out, listed.out, expected="httpd", control=True))
    claim.show("docker exec other logread", there.out)
    claim.show("docker exec other ps", listed.out)
    claim.judge(
        holds("shared memory that the other finds", nonce not in there.out, there.out, expected="without the first's"),
        equal("exit status of the other's logread", there.exit_status, 1, vantage=other.name),
        equal("the first one's process among the other's", "syslogd" in listed.out, False, vantage=other.name),
        *(
            different(f"{kind} namespace, beside {whose}", spaces[one.pid][kind], spaces[pid][kind], vantage=one.name)
            for kind in ("ipc", "pid", "mnt")
            for one, whose, pid in ((box, "the host's", 1), (box, "the other's", other.pid), (other, "the host's", 1))
        ),
        equal("network namespaces", {spaces[box.pid]["net"], spaces[other.pid]["net"]}, {spaces[1]["net"]}),
        equal("page fetched over loopback", page.out.strip(), "netfacts", vantage=box.name),
    )


@tamper("host.ipc-claim", "the containers share the host's IPC namespace")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"ipc": "host"}


@tamper("host.ipc-claim", "the containers share the host's process list")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"pid": "host"}


@tamper("host.ipc-claim", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("host.ipc-claim", "the host's firewall rejects what comes over lo")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -i lo -p tcp -j REJECT")


@pytest.mark.fact("host.can-config-host-net")
def test_host_mode_configures_the_hosts_links_with_net_admin_only(host: Host, act: Act, claim: Claim) -> None:
    """A host-mode container may not change a bridge of the host's, unless it is given NET_ADMIN."""
    network = host.network("net")
    plain = host.container("plain", mode="host")
    admin = host.container("admin", mode="host", cap_add=["NET_ADMIN"])
    apart = host.container("apart", cap_add=["NET_ADMIN"])
    change = ("ip", "link", "set", network.bridge, "mtu", str(_MTU_BYTES))
    before = interface(host.vantage, network.bridge).mtu_bytes

    with act:
        tries, sizes = [], []
        for box in (plain, apart, admin):
            tries.append(box.run(*change))
            sizes.append(interface(host.vantage, network.bridge).mtu_bytes)
        capable = ["NET_ADMIN" in capabilities(host.machine, box.pid) for box in (plain, apart, admin)]

    claim.show(" ".join(change), "\n".join(f"exit {done.exit_status} {done.out.strip()}" for done in tries))
    denied = "Operation not permitted"
    claim.judge(
        holds("what ip says without NET_ADMIN", denied in tries[0].out, tries[0].out, expected=denied),
        equal("MTU, after tries without NET_ADMIN, without host mode, with both", sizes, [before, before, _MTU_BYTES]),
        equal("NET_ADMIN of the three", capable, [False, True, True]),
    )


@tamper("host.can-config-host-net", "the engine ignores --cap-add")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"cap_add": []}


@tamper("host.can-config-host-net", "the engine gives NET_ADMIN to whoever is in host mode")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"cap_add": ["NET_ADMIN"]}


@tamper("host.can-config-host-net", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("host.can-config-host-net", "the engine takes every container for one in host mode")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "host"}


@pytest.mark.fact("host.security")
def test_host_mode_sees_sockets_and_traffic_of_the_host(host: Host, act: Act, claim: Claim) -> None:
    """A host-mode container sees the host's sockets and can capture its traffic; one on the bridge can do neither.

    resolver ── lan ── host [box]      other ── docker0 ── host
    """
    box, other = host.container("box", mode="host"), host.container("other")
    listener = listen(host.vantage, address=_LOOPBACK)
    nic, resolver = host.machine.interface(), str(host.machine.lab.resolver)
    gateway = str(interface(host.vantage, host.predefined().bridge).ipv4[0].ip)
    hosts, own = secrets.token_hex(8), secrets.token_hex(8)

    with (
        act,
        capture(box.vantage, "lo") as near,
        capture(box.vantage, nic) as out,
        capture(other.vantage, "lo") as inner,
        capture(other.vantage, "eth0") as bridged,
    ):
        answers = ask(
            tcp(host.vantage, _LOOPBACK, listener.port, nonce=hosts),
            icmp(host.vantage, resolver, nonce=hosts),
            icmp(other.vantage, gateway, nonce=own),
        )
        listening = {one.name: [(end.address, end.port) for end in sockets(one.vantage)] for one in (box, other)}
        capable = ["NET_RAW" in capabilities(host.machine, one.pid) for one in (box, other)]

    caught = {f"{one.vantage}, {one.interface}": one.carrying(hosts) for one in (near, out, inner, bridged)}
    for title, packets in caught.items():
        claim.show(f"the host's traffic, as captured on {title}", near.text(packets))
    claim.control(
        *(seen(answer, Outcome.CONNECTED, control=True) for answer in answers),
        holds("own traffic at the other's eth0", bool(bridged.carrying(own)), "none", expected="some", control=True),
    )
    sees = {name: (_LOOPBACK, listener.port) in ends for name, ends in listening.items()}
    claim.judge(
        equal("containers that see the listener on the host's loopback", _true(sees), [box.name]),
        equal(
            "interfaces of containers where the host's traffic is captured",
            _true({title: bool(packets) for title, packets in caught.items()}),
            sorted(f"{box.vantage}, {link}" for link in ("lo", nic)),
        ),
        equal("NET_RAW, by which both may capture", capable, [True, True]),
    )


def _true(found: dict[str, bool]) -> list[str]:
    return sorted(name for name, truth in found.items() if truth)


@tamper("host.security", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("host.security", "the engine drops NET_RAW")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"cap_drop": ["NET_RAW"]}


@strike("host.security", "the host's traffic is sent to the other container, too")
def _(stage: Stage) -> None:
    other = stage.container("other")
    stage.host.engine.run(f"iptables -t mangle -A OUTPUT -p icmp -j TEE --gateway {other.address}")
