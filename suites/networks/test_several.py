"""A container that is put on several networks at once."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.topology import Host, refusal
from netfacts.verdict import equal

_SINGLE = "cannot be connected to network endpoints"
# Plays a client that connects the container to the second network once it is there.
_CLIENT = """\
#!/bin/sh
engine=$1
shift 2
for word; do
  case $last in --network) networks="$networks $word" ;; esac
  last=$word
done
set -- $networks "$@"
first=$1 second=$2
shift 2
for word; do
  shift
  case $word in --network | $first | $second) ;; *) set -- "$@" "$word" ;; esac
done
id=$(/usr/bin/docker $engine create --network $first "$@") &&
  /usr/bin/docker $engine network connect $second $id && echo $id
"""


@pytest.mark.fact("multi.run-flags")
def test_container_is_run_on_two_networks(host: Host, act: Act, claim: Claim) -> None:
    """`docker run` takes more than one --network and puts the container on each of these networks."""
    near, far = host.network("near"), host.network("far")

    with act:
        words = refusal(lambda: host.typed("box", "--network", near.name, "--network", far.name))
        joined = {network for container in host.containers for network in container.networks}

    claim.show(f"docker create --network {near.name} --network {far.name}", words or "done")
    other = words if _SINGLE not in words else ""
    claim.control(equal("refusal on other grounds than the second network", other, "", control=True))
    claim.judge(equal("networks of the container", joined, {near.name, far.name}))


@tamper("multi.run-flags", "the client drops the second --network", engines=">=25")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"typed": request["typed"][:2]} if "typed" in request else {})


@strike("multi.run-flags", "the client makes the second --network a docker network connect", engines="<25")
def _(stage: Stage) -> None:
    # Found before the engine's own.
    path = f"/proc/{stage.host.engine.pid}/root/usr/sbin/docker"
    stage.host.machine.agent.call("write", path=path, text=_CLIENT)
    stage.host.vantage.run(f"chmod 755 {path}")
