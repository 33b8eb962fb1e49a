"""`python -m netfacts.agent NAME CGROUP`: the harness starts this, one per machine, and talks to it over its pipes."""

from __future__ import annotations

import os
import sys
import traceback

from netfacts.agent import machine, protocol
from netfacts.agent import syscalls as sys_
from netfacts.agent.init import Init


def main() -> int:
    """Leave the namespaces, fork PID 1, and wait for it: this process, the keeper, is all the harness sees of it."""
    name, cgroup = sys.argv[1:]
    machine.leave_namespaces(cgroup)
    go_read, go_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(go_write)
        os._exit(_init(go_read, name))
    os.close(go_read)
    os.write(1, protocol.encode({"pid": pid}))
    # The keeper holds neither end of the conversation: the harness must see PID 1's end of file, and PID 1 its.
    os.close(0)
    os.close(1)
    os.write(go_write, b"x")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _init(go: int, name: str) -> int:
    sys_.die_with_parent()
    if os.read(go, 1) != b"x":
        return 1
    os.close(go)
    sys_.set_name(f"nf-{name}")
    try:
        return Init(reader=0, writer=1).run()
    except Exception:
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main())
