"""Engines with something wrong: copies of a suite's docker.io with a program wrapped in a script.

A copy is made of hard links, so that it costs a moment and no space. What is wrong is so from the first packet on,
and not some time after: a loop that deletes rules would at times come too late, and the check be right to see nothing.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from netfacts.engine.cache import MANIFEST

# Where the real programs are put. They keep their names, by which iptables and dockerd know what they are to do.
_REAL = "usr/libexec/doctored"


@dataclass(frozen=True, kw_only=True)
class Doctoring:
    """What is wrong with an engine.

    `flags` are given to its dockerd; `deaf` holds a shell pattern of calls of iptables that say all is well and do
    nothing, `deaf_after_takeover` the same for an engine that finds another one's data; `proxy` is the script that
    stands for docker-proxy.
    """

    flags: tuple[str, ...] = ()
    deaf: str = ""
    deaf_after_takeover: str = ""
    proxy: str = ""


def doctor(root: Path, copy: Path, doctoring: Doctoring) -> Path:
    """Make a copy of an engine's root file system with something wrong. Gives the copy."""
    shutil.copytree(root, copy, symlinks=True, copy_function=os.link, ignore=shutil.ignore_patterns(MANIFEST))
    (copy / _REAL).mkdir(parents=True)
    if doctoring.flags:
        _wrap(copy, "dockerd", f'exec /{_REAL}/dockerd {shlex.join(doctoring.flags)} "$@"')
    if doctoring.deaf_after_takeover:
        _wrap(copy, "dockerd", _NOTE_TAKEOVER + f'exec /{_REAL}/dockerd "$@"')
    if pattern := doctoring.deaf or doctoring.deaf_after_takeover:
        condition = "[ -e /run/took-over ]" if doctoring.deaf_after_takeover else "true"
        _wrap(copy, "iptables", _DEAF.format(pattern=pattern, condition=condition, real=f"/{_REAL}/iptables"))
    if doctoring.proxy:
        _wrap(copy, "docker-proxy", doctoring.proxy)
    return copy


_NOTE_TAKEOVER = "[ ! -e /run/netfacts/docker/network/files/local-kv.db ] || : >/run/took-over\n"

# Questions are answered truthfully: that the rule is not there.
_DEAF = """\
case " $* " in
    *" -C "*) ;;
    {pattern}) ! {condition} || exit 0 ;;
esac
exec {real} "$@"
"""


def _wrap(root: Path, program: str, script: str) -> None:
    path = root / "usr/sbin" / program
    real = root / _REAL / program
    if path.is_symlink():
        real.symlink_to(f"/usr/sbin/{path.readlink()}")
        path.unlink()
    else:
        path.rename(real)
    # A new file: what is hard-linked must not be written to.
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
