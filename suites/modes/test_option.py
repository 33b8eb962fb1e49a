"""What is typed after --network, or --net: how it is spelled, and which network namespace it gives a container."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.observe import links, namespaces
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds

# Plays a client that knows --network only.
_CLIENT = """\
#!/bin/sh
for word; do
  case $word in --net=*) echo "unknown flag: --net" >&2; exit 125 ;; esac
done
exec /usr/bin/docker "$@"
"""


@pytest.mark.fact("modes.net-alias")
def test_net_and_network_are_one_option(host: Host, act: Act, claim: Claim) -> None:
    """`--net` chooses the same network mode as `--network` does."""
    target = host.container("target")
    modes = ("bridge", "host", "none", f"container:{target.id}")

    with act:
        chosen = {option: [_chosen(host, option, mode) for mode in modes] for option in ("net", "network")}
        alone = refusal(partial(host.typed, "alone", "--net=none"))
        cards = [_cards(box.vantage) for box in host.containers if box.pid and box is not target]

    for option, found in chosen.items():
        claim.show(f"HostConfig.NetworkMode, with --{option}=MODE", "\n".join(found))
    claim.judge(
        *(equal(f"network modes chosen by --{option}", found, list(modes)) for option, found in chosen.items()),
        equal("refusal of --net=none", alone, ""),
        equal("interfaces besides lo that are up in a container with --net=none", cards, [[]]),
    )


def _chosen(host: Host, option: str, mode: str) -> str:
    """The network mode of a container that is created with this option, or why there is none."""
    role = f"{option}-{mode.partition(':')[0]}"
    words = refusal(partial(host.typed, role, f"--{option}={mode}", start=False))
    return words or str(host.find(role).said["HostConfig"]["NetworkMode"])


@tamper("modes.net-alias", "the client ignores --net")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"typed": [word for word in request.get("typed", ()) if not word.startswith("--net=")]}


@tamper("modes.net-alias", "the client ignores --network")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"typed": [word for word in request.get("typed", ()) if not word.startswith("--network=")]}


@strike("modes.net-alias", "the client has never heard of --net")
def _(stage: Stage) -> None:
    # Found before the engine's own.
    path = f"/proc/{stage.host.engine.pid}/root/usr/sbin/docker"
    stage.host.machine.agent.call("write", path=path, text=_CLIENT)
    stage.host.vantage.run(f"chmod 755 {path}")


@pytest.mark.fact("modes.none-is-lowercase")
def test_mode_none_is_spelled_in_lower_case(host: Host, act: Act, claim: Claim) -> None:
    """`--network None` names a network that there is not, where `--network none` is a mode."""
    known = host.container("known", mode="none")
    claim.control(equal("networks of a container with none", list(known.networks), ["none"], control=True))

    with act:
        words = refusal(partial(host.container, "box", mode="None"))

    claim.show("docker run --network None", words)
    expected = "network None not found"
    claim.judge(holds("refusal of a container with None", expected in words, words, expected=expected))


@tamper("modes.none-is-lowercase", "the engine minds no upper case")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": request.get("mode", "").lower()}


@strike("modes.none-is-lowercase", "somebody has made a network that is called None")
def _(stage: Stage) -> None:
    stage.host.network("capital", name="None")


@pytest.mark.fact("modes.four")
def test_each_mode_gives_its_own_kind_of_namespace(host: Host, act: Act, claim: Claim) -> None:
    """bridge, none and a user's network give a namespace of one's own, host the host's, container:T the one of T.

    plain ══ joined        user               alone       hosted
      └─ docker0 ── host     └─ br-… ── host              (the host)
    """
    network = host.network("net")
    plain = host.container("plain", mode="bridge")
    joined = host.container("joined", mode=f"container:{plain.id}")
    hosted, alone = host.container("hosted", mode="host"), host.container("alone", mode="none")
    user = host.container("user", network=network)

    with act:
        pids = {"host": 1} | {box.name: box.pid for box in host.containers}
        spaces = {name: namespaces(host.machine, pid)["net"] for name, pid in pids.items()}
        cards = [_cards(box.vantage) for box in (plain, user, alone)]
        on = [list(box.networks) for box in (plain, user, alone, hosted, joined)]

    claim.show("network namespaces", "\n".join(f"{space} {name}" for name, space in spaces.items()))
    own = ("host", plain.name, user.name, alone.name)
    claim.judge(
        equal("different namespaces of the host and of those on networks", len({spaces[name] for name in own}), 4),
        equal("namespace in host mode", spaces[hosted.name], spaces["host"], vantage=hosted.name),
        equal("namespace in container mode", spaces[joined.name], spaces[plain.name], vantage=joined.name),
        equal("interfaces besides lo on bridge, the user's network, and none", cards, [["eth0"], ["eth0"], []]),
        equal("networks of the five", on, [["bridge"], [network.name], ["none"], ["host"], []]),
    )


def _cards(vantage: Vantage) -> list[str]:
    return [link.name for link in links(vantage) if link.up and link.name != "lo"]


@tamper("modes.four", "the engine knows predefined networks only")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "bridge" if request.get("mode", "").startswith("net-") else request.get("mode", "")}


@tamper("modes.four", "the engine takes none for bridge")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": request.get("mode", "").replace("none", "bridge")}


@tamper("modes.four", "the engine takes host for none")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": request.get("mode", "").replace("host", "none")}


@tamper("modes.four", "the engine gives whoever joins a container a namespace of its own")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "" if request.get("mode", "").startswith("container:") else request.get("mode", "")}
