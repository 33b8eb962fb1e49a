"""An agent that is started directly and not forked, as over ssh: `agent.pyz NAME PATIENCE_S [SUFFIX]`.

Without a SUFFIX it is guarded: it stays in the namespaces of the machine that it is started on. With one it becomes a
machine of its own, whose cgroup folder bears that at the end of its name. Whoever talks to it may be cut off without
either end being told: after PATIENCE_S without a line it ends as if it had been hung up on.
"""

from __future__ import annotations

import os
import traceback
from typing import Never

from netfacts.agent import cgroups
from netfacts.agent import syscalls as sys_
from netfacts.agent.forkserver import keep
from netfacts.agent.stamp import is_dead, owner


def main(arguments: list[str]) -> int:
    """Keep an agent until it ends. Gives its exit status."""
    name, patience, *suffix = arguments
    # Wherever it was started: the folder may be one that somebody wants to unmount.
    os.chdir("/")
    if not suffix:
        cgroups.sweep(is_dead)
        return keep(name, "", patience_s=float(patience))
    cgroup = f"{owner()}-{suffix[0]}"
    pid = os.fork()
    if pid == 0:
        _become_keeper(name, cgroup, float(patience))
    # It holds no end of the conversation either.
    os.close(0)
    os.close(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    # Not from inside: the keeper and all below are in that cgroup themselves.
    cgroups.remove(cgroup)
    return status


def _become_keeper(name: str, cgroup: str, patience_s: float) -> Never:
    status = 1
    try:
        sys_.die_with_parent()
        status = keep(name, cgroup, patience_s=patience_s)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
