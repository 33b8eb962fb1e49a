"""The external key-value store that overlays once needed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.engine.answer import answer_of
from netfacts.engine.program import ETCD, ready
from netfacts.fabric import Store
from netfacts.lab.program import run_program
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.probe import Answer, ask, listen, resolve, tcp
from netfacts.run import Finished
from netfacts.topology import Container, Host, Network, refusal
from netfacts.verdict import equal, holds, seen, source_is
from suites.overlay.gossip import await_gossip, forwarding

_FLAG = "--cluster-store"
_UNKNOWN = "--no-such-flag"
_KEYS = "/docker/network/v1.0"
_ADVERTISED, _PORT = 2376, 8080


@pytest.mark.fact("overlay.kv-store")
def test_daemon_takes_the_address_of_a_store(host: Host, act: Act, claim: Claim) -> None:
    """The daemon knows the flag --cluster-store, the address of an external key-value store."""
    with act:
        known, unknown = (_dockerd(host, f"{flag}=etcd://198.51.100.53:2379") for flag in (_FLAG, _UNKNOWN))
    refused = {flag: _refusal(done) for flag, done in ((_FLAG, known), (_UNKNOWN, unknown))}

    claim.show(" ".join(known.argv), refused[_FLAG] or known.out)
    claim.show(" ".join(unknown.argv), refused[_UNKNOWN] or unknown.out)
    # Flags are read before --version is: one that there is not is refused.
    words = f"unknown flag: {_UNKNOWN}"
    claim.control(equal("refusal of a flag that there is not", refused[_UNKNOWN], words, control=True))
    other = refused[_FLAG].replace(f"unknown flag: {_FLAG}", "")
    claim.control(equal("refusal on other grounds than that the flag is unknown", other, "", control=True))
    claim.judge(holds(f"dockerd {_FLAG}", known.exit_status == 0, refused[_FLAG], expected="accepted"))


def _dockerd(host: Host, flag: str) -> Finished:
    """The engine's dockerd, asked for its version and nothing else."""
    return host.engine.execute(["dockerd", flag, "--version"])


def _refusal(done: Finished) -> str:
    """The line with which dockerd refuses, "" where it does not; two screens about its usage may follow."""
    first = next(iter(done.err.splitlines()), "") if done.exit_status else ""
    return first.removeprefix("Status: ")


@strike("overlay.kv-store", "dockerd is another one, which takes it for a flag that there is not", engines="<23")
def _(stage: Stage) -> None:
    _replace(stage, f"echo 'Status: unknown flag: {_FLAG}' >&2; exit 1")


@strike("overlay.kv-store", "dockerd is another one, which ignores the flag", engines=">=23")
def _(stage: Stage) -> None:
    _replace(stage, "exec /run/netfacts/dockerd --version")


def _replace(stage: Stage, line: str) -> None:
    """Put a script in dockerd's place that does this where it is given the flag."""
    script = f'#!/bin/sh\ncase $1 in {_FLAG}*) {line} ;; esac\nexec /run/netfacts/dockerd "$@"\n'
    stage.host.machine.agent.call("write", path="/run/netfacts/other", text=script)
    engine = stage.host.engine
    own = engine.execute(["sh", "-c", "command -v dockerd"]).out.strip()
    engine.run(f"busybox cp {own} /run/netfacts/dockerd")
    engine.run("busybox chmod 755 /run/netfacts/other")
    engine.run(f"busybox mount --bind /run/netfacts/other {own}")


@pytest.mark.own_lab
@pytest.mark.fact("overlay.external-store")
def test_hosts_have_overlays_in_common_by_a_store(
    host: Host, host2: Host, store_v2: Store, act: Act, claim: Claim
) -> None:
    """Engines with a store in common have its overlays in common; without it none is made, and those there are go on.

    host [ web ]══════ mesh ══════[ box ] host2
      └───────────── store ───────────────┘
    """
    for one in (host, host2):
        _join(one, store_v2)
    mesh = host.network("mesh", driver="overlay")
    web, box = boxes = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    for container in boxes:
        listen(container.vantage, _PORT)
    act.settle(lambda: await_gossip(mesh, *boxes))

    with act:
        listed, keys = _overlays(host2), store_v2.keys_v2("/docker")
        answers = _meet(mesh, web, box)
        names = [*resolve(web.vantage, box.name), *resolve(box.vantage, web.name)]
        store_v2.stop()
        words = refusal(partial(host.network, "late", driver="overlay"))
        later = _meet(mesh, web, box)

    at = {container.name: container.address_on(mesh.name) for container in boxes}
    claim.show("etcdctl ls --recursive /docker, before the store was stopped", "\n".join(keys))
    claim.show("docker network create -d overlay, after that", words)
    for container in boxes:
        claim.show(f"bridge fdb show, in the overlay of {container.name}'s host", forwarding(mesh, container))
    claim.judge(
        equal("overlays of the second host", listed, {mesh.name: mesh.id}, vantage=host2.name),
        equal("what the store has of them", [key for key in _keys(mesh, *boxes) if key not in keys], []),
        *(seen(answer, Outcome.CONNECTED) for answer in (*answers, *later)),
        *(source_is(answer, at[answer.probe.vantage.label]) for answer in (*answers, *later)),
        *(equal(f"addresses of {found.name}", found.addresses, (at[found.name],)) for found in names),
        holds("a new overlay without the store", "could not get pools config" in words, words, expected="refused"),
    )


def _join(host: Host, store: Store) -> None:
    """Start a host's engine anew, as one of those that share a store."""
    host.engine.stop()
    flags = f"{_FLAG}={store.endpoint.replace('http', 'etcd')}", f"--cluster-advertise={host.address}:{_ADVERTISED}"
    host.engine.start(flags=(*host.engine.flags, *flags))


def _overlays(host: Host) -> dict[str, str]:
    """The overlays that an engine knows: their names and IDs."""
    asked = {"driver": "overlay"}
    said = answer_of(host.engine, "list networks", lambda: host.engine.api.networks(filters=asked), like=list[Any])
    return {str(one["Name"]): str(one["Id"]) for one in said}


def _meet(mesh: Network, one: Container, other: Container) -> list[Answer]:
    """Have each of two containers connect to the other's address on the overlay."""
    return ask(
        tcp(one.vantage, other.address_on(mesh.name), _PORT), tcp(other.vantage, one.address_on(mesh.name), _PORT)
    )


def _keys(mesh: Network, *containers: Container) -> list[str]:
    """The keys of an overlay, of its containers' ends, and of the hosts that these are on."""
    ends = [str(one.networks[mesh.name]["EndpointID"]) for one in containers]
    hosts = [f"/docker/nodes/{one.engine.machine.address}:{_ADVERTISED}" for one in containers]
    return [f"{_KEYS}/network/{mesh.id}", *(f"{_KEYS}/endpoint/{mesh.id}/{end}" for end in ends), *hosts]


@strike("overlay.external-store", "the first host drops what comes to UDP port 4789", engines="<23")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")


@strike(
    "overlay.external-store",
    "port 7946 of the first host is closed while the other container takes a new address",
    engines="<23",
)
def _(stage: Stage) -> None:
    for how in ("tcp", "udp"):
        stage.host.engine.run(f"iptables -I INPUT -p {how} --dport 7946 -j DROP")
    host2, mesh, box = stage.hosts["host2"], stage.network("mesh"), stage.container("box", "host2")
    host2.disconnect(mesh, box)
    # It would be given the same one again.
    host2.container("heir", mode=mesh.name)
    host2.connect(mesh, box)


@strike("overlay.external-store", "somebody removes the overlay from the store", engines="<23")
def _(stage: Stage) -> None:
    _etcdctl(stage, "rm", f"{_KEYS}/network/{stage.network('mesh').id}")


@strike("overlay.external-store", "the engine says that it has made an overlay without the store", engines="<23")
def _(stage: Stage) -> None:
    stage.forge("/networks/create", lambda _: {"Id": "0" * 64, "Warning": ""}, status=201)


def _etcdctl(stage: Stage, *argv: str) -> None:
    """Change the store's keys of version 2. Raises: LabError."""
    endpoint = f"--endpoints=http://{stage.machine('store').address}:2379"
    done = run_program(
        stage.vantage("store"), ready(ETCD).root, "etcdctl", endpoint, *argv, environment={"ETCDCTL_API": "2"}
    )
    done.checked("could not change the store's keys", LabError)
