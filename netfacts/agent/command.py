"""Runs a command where the worker is, or in the mount namespace of another process."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any

from netfacts.agent import syscalls as sys_


def _before(mnt: str) -> Callable[[], None]:
    def prepare() -> None:
        # On a machine that is not netfacts' own nothing else would end it with its agent.
        sys_.die_with_parent()
        if mnt:
            sys_.setns(mnt, sys_.CLONE_NEWNS)

    return prepare


async def execute(args: dict[str, Any]) -> dict[str, Any]:
    """Run `argv` with `input` (text) and give its exit status and output.

    `mnt`: path of a mount namespace to run in ("" for the worker's own). `timeout_s`: after that the process group is
    killed and `exit` is None.

    Raises: OSError where the program can't be started.
    """
    process = await asyncio.create_subprocess_exec(
        *args["argv"],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=args.get("env") or {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        preexec_fn=_before(args.get("mnt", "")),
        start_new_session=True,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(args.get("input", "").encode()), args["timeout_s"])
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        return {"exit": None, "out": "", "err": f"no end after {args['timeout_s']} s"}
    return {
        "exit": process.returncode,
        "out": out.decode(errors="replace"),
        "err": err.decode(errors="replace"),
    }
