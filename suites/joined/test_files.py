"""Files that the engine makes for a container's network, and its host name: a joined container has the target's."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.probe import resolve
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen

_PATHS = ("/etc/hosts", "/etc/resolv.conf", "/etc/hostname")
# Names and addresses for documentation.
_NAME, _ADDRESS = "extra.example", "203.0.113.77"


@pytest.mark.fact("joined.files-shared")
def test_joined_container_has_the_targets_files_and_host_name(host: Host, act: Act, claim: Claim) -> None:
    """A joined container has the target's /etc/hosts, resolv.conf and hostname files, and its host name."""
    target, other = host.container("target", hosts={_NAME: _ADDRESS}), host.container("other")
    joined = host.container("joined", mode=f"container:{target.id}")
    (own,) = resolve(target.vantage, _NAME)
    claim.control(seen(own, Outcome.CONNECTED, control=True))

    with act:
        files = {one.name: [host.machine.inode(f"{_root(one)}{path}") for path in _PATHS] for one in (target, joined)}
        texts = {one.name: host.machine.read(*_PATHS, root=_root(one)) for one in (target, joined)}
        (found,), (strange,) = resolve(joined.vantage, _NAME), resolve(other.vantage, _NAME)
        name = joined.run("hostname").out.strip()

    claim.show("/etc/hosts in the joined container", texts[joined.name][0] or "")
    claim.show("hostname in the joined container", name)
    claim.judge(
        *(
            equal(f"inode of {path}", file, targets, vantage=joined.name)
            for path, file, targets in zip(_PATHS, files[joined.name], files[target.name], strict=True)
        ),
        *(
            equal(f"text of {path}", text, targets, vantage=joined.name)
            for path, text, targets in zip(_PATHS, texts[joined.name], texts[target.name], strict=True)
        ),
        equal("host name", name, target.id[:12], vantage=joined.name),
        equal(f"{_NAME}, which --add-host gave the target", found.addresses, (_ADDRESS,), vantage=joined.name),
        seen(strange, Outcome.NAME_NOT_FOUND),
    )


def _root(container: Container) -> str:
    return f"/proc/{container.pid}/root"


@tamper("joined.files-shared", "the engine ignores --network container:T")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@tamper("joined.files-shared", "the engine puts what --add-host says into every container")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({} if request["mode"] else {"hosts": {_NAME: _ADDRESS}})


@strike("joined.files-shared", "the joined container has an /etc/hosts of its image's")
def _(stage: Stage) -> None:
    _uncover(stage, "/etc/hosts")


@strike("joined.files-shared", "the joined container has an /etc/resolv.conf of its image's")
def _(stage: Stage) -> None:
    _uncover(stage, "/etc/resolv.conf")


def _uncover(stage: Stage, path: str) -> None:
    stage.host.vantage.run(f"nsenter --mount={stage.container('joined').vantage.mnt} busybox umount {path}")


@strike("joined.files-shared", "the joined container is given another host name")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"nsenter --uts=/proc/{stage.container('joined').pid}/ns/uts hostname elsewhere")
