"""The external key-value store that overlays once needed."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.run import Finished
from netfacts.topology import Host
from netfacts.verdict import equal, holds

_FLAG = "--cluster-store"
_UNKNOWN = "--no-such-flag"


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
