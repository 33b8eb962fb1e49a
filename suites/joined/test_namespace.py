"""Containers that join another's network namespace: what they share with it, and what not."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.errors import ProbeError
from netfacts.observe import Link, links, namespaces
from netfacts.topology import Host
from netfacts.verdict import different, equal


@pytest.mark.fact("joined.same-netns")
@pytest.mark.shared
@pytest.mark.unbroken
def test_joined_container_has_the_targets_network(host: Host, act: Act, claim: Claim) -> None:
    """A container on --network container:T has T's namespace, interface, address and MAC and none of its own.

    target ══ joined      one network namespace ── veth ── docker0
    """
    target = host.container("target")
    before = {link.index for link in links(host.vantage)}
    joined = host.container("joined", mode=f"container:{target.id}")

    with act:
        spaces = {pid: namespaces(host.machine, pid)["net"] for pid in (1, target.pid, joined.pid)}
        after = {link.index for link in links(host.vantage)}
        card = joined.run("cat", "/sys/class/net/eth0/address", "/sys/class/net/eth0/ifindex")
        (eth0,) = [link for link in links(target.vantage) if link.name == "eth0"]
        shared = links(joined.vantage)

    claim.show("docker exec joined ip addr", joined.run("ip", "addr").out)
    claim.judge(
        equal("network namespace", spaces[joined.pid], spaces[target.pid], vantage=joined.name),
        different("network namespace, beside the host's", spaces[joined.pid], spaces[1], vantage=joined.name),
        equal(
            "MAC and index of eth0, by its own /sys", card.out.split(), [eth0.mac, str(eth0.index)], vantage=joined.name
        ),
        equal("interfaces besides lo", [_line(link) for link in shared if link.name != "lo"], [_line(eth0)]),
        equal("links that its start added to the host", len(after - before), 0, vantage=host.name),
        equal("networks that docker inspect lists", sorted(joined.networks), [], vantage=joined.name),
    )


def _line(link: Link) -> str:
    return f"{link.name} {link.mac} {' '.join(map(str, link.ipv4))}"


@tamper("joined.same-netns", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("joined.same-netns", "the target is restarted, and gets a new namespace")
def _(stage: Stage) -> None:
    target = stage.container("target")
    stage.host.stop(target)
    stage.host.start(target)


@pytest.mark.fact("joined.fs-pid-private")
@pytest.mark.shared
def test_joined_container_shares_nothing_but_the_network(host: Host, act: Act, claim: Claim) -> None:
    """A joined container keeps its own file system, process list and IPC namespace."""
    target = host.container("target", command=("sleep", "12345"))
    joined = host.container("joined", mode=f"container:{target.id}")
    target.run("touch", "/marker").checked("could not make a file in the target", ProbeError)
    claim.control(
        equal("file made in the target", target.run("ls", "/marker").out.strip(), "/marker", control=True),
        equal("target's process listed there", "sleep 12345" in target.run("ps").out, True, control=True),
    )

    with act:
        own, others = namespaces(host.machine, joined.pid), namespaces(host.machine, target.pid)
        files, listed = joined.run("ls", "/"), joined.run("ps")

    claim.show("docker exec joined ps", listed.out)
    claim.show("namespaces", "\n".join(f"{kind:4} of joined {own[kind]}, of target {others[kind]}" for kind in own))
    claim.judge(
        *(
            different(f"{kind} namespace", own[kind], others[kind], vantage=joined.name)
            for kind in ("mnt", "pid", "ipc")
        ),
        equal("network namespace", own["net"], others["net"], vantage=joined.name),
        equal("the target's file among its own", "marker" in files.out.split(), False, vantage=joined.name),
        equal("the target's process among its own", "sleep 12345" in listed.out, False, vantage=joined.name),
    )


@tamper("joined.fs-pid-private", "the containers share the host's process list")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"pid": "host"}


@tamper("joined.fs-pid-private", "the engine joins the process list along with the network")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"pid": request["mode"]}


@tamper("joined.fs-pid-private", "the containers share the host's IPC namespace")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"ipc": "host"}


@strike("joined.fs-pid-private", "the target's file shows up in the joined container")
def _(stage: Stage) -> None:
    stage.container("joined").run("touch", "/marker").checked("could not make a file in the joined one", ProbeError)
