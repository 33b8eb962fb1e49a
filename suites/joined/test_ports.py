"""Containers in one network namespace: one loopback, one port space."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import serving, sockets
from netfacts.probe import Probe, ask, listen, tcp, udp
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen, source_is

_LOOPBACK = "127.0.0.1"
_PORT, _FREE_PORT = 8080, 8081


def _httpd(port: int) -> list[str]:
    return ["httpd", "-f", "-p", str(port), "-h", "/www"]


@pytest.mark.fact("joined.loopback")
@pytest.mark.shared
@pytest.mark.parametrize(("protocol", "probe"), [("tcp", tcp), ("udp", udp)], ids=["protocol=tcp", "protocol=udp"])
def test_joined_containers_meet_on_loopback(
    host: Host, act: Act, claim: Claim, protocol: str, probe: Callable[..., Probe]
) -> None:
    """Joined containers reach each other's services at 127.0.0.1, even those that listen nowhere else.

    target ══ joined      one network namespace, one lo
    other                 another one
    """
    target, other = host.container("target"), host.container("other")
    joined = host.container("joined", mode=f"container:{target.id}")
    of_target = listen(target.vantage, protocol=protocol, address=_LOOPBACK)
    of_joined = listen(joined.vantage, protocol=protocol, address=_LOOPBACK)

    with act:
        there, back, unjoined = ask(
            probe(joined.vantage, _LOOPBACK, of_target.port),
            probe(target.vantage, _LOOPBACK, of_joined.port),
            probe(other.vantage, _LOOPBACK, of_target.port),
        )

    claim.show(
        "listeners that the joined container sees",
        "\n".join(f"{socket.protocol} {socket.address}:{socket.port}" for socket in sockets(joined.vantage)),
    )
    claim.judge(
        source_is(there, _LOOPBACK),
        source_is(back, _LOOPBACK),
        equal("who answered the joined container", there.name, target.name, vantage=joined.name),
        equal("who answered the target", back.name, joined.name, vantage=target.name),
        seen(unjoined, Outcome.REFUSED),
    )


@tamper("joined.loopback", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("joined.loopback", "lo is down")
def _(stage: Stage) -> None:
    stage.container("target").vantage.run("ip link set lo down")


@pytest.mark.fact("joined.ports-shared")
@pytest.mark.unbroken
def test_joined_containers_share_one_port_space(host: Host, act: Act, claim: Claim) -> None:
    """A port that one of several joined containers listens on cannot be bound by another.

    target ══ first ══ free ══ second      one network namespace
    """
    target = host.container("target")
    mode = f"container:{target.id}"
    first = host.container("first", mode=mode, command=_httpd(_PORT))
    free = host.container("free", mode=mode, command=_httpd(_FREE_PORT))
    second = host.container("second", mode=mode, command=_httpd(_PORT), start=False)
    held = serving(first.vantage, _PORT)
    serving(free.vantage, _FREE_PORT)

    with act:
        host.start(second)
        second.ended()
        owners = [socket.pids for socket in sockets(target.vantage) if socket.port == _PORT]

    claim.show("docker logs second", second.logs())
    claim.judge(
        equal("state of the second container, and exit status", second.state, "exited 1", vantage=second.name),
        holds(
            "its log",
            "Address already in use" in second.logs(),
            second.logs().strip(),
            expected="Address already in use",
            vantage=second.name,
        ),
        equal(f"processes that listen on port {_PORT}", owners, [held.pids], vantage=target.name),
    )


@tamper("joined.ports-shared", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("joined.ports-shared", "the first container is stopped before the second is started")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("first"))
