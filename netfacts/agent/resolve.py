"""Name resolution as an application in a container sees it: glibc's, with the container's own files."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import encodings.idna  # noqa: F401  (getaddrinfo imports it on its first call: too late once the root is another)
import json
import os
import signal
import socket
import threading
import time
from typing import Any

from netfacts.agent import syscalls as sys_
from netfacts.agent.child import read_all

_OUTCOMES = {
    socket.EAI_NONAME: "name_not_found",
    getattr(socket, "EAI_NODATA", -5): "name_not_found",
    socket.EAI_AGAIN: "resolver_failed",
    socket.EAI_FAIL: "resolver_failed",
}
_GRACE_S = 5.0
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def _preload() -> None:
    # Before glibc 2.34 the resolver's parts are libraries of their own, which a container's root may not hold.
    for name in ("libnss_files.so.2", "libnss_dns.so.2"):
        with contextlib.suppress(OSError):
            ctypes.CDLL(name)


_preload()


async def resolve(args: dict[str, Any]) -> list[dict[str, Any]]:
    """Resolve `names`, a list of [name, family (4, 6 or 0 for both)], in the mount namespace at `mnt`.

    One after the other, or `at_once` at the same time: then one that gets no answer does not keep others from theirs.
    A child does it and ends at once: nothing may hold a container's mount namespace while it is being removed.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(args, read, write)
    os.close(write)
    try:
        # Who asks for several at once keeps the time itself.
        async with asyncio.timeout(args["timeout_s"] + (_GRACE_S if args.get("at_once", 1) > 1 else 0.0)):
            data = await read_all(read)
    except TimeoutError:
        os.kill(pid, signal.SIGKILL)
        return [_late(args["timeout_s"]) for _ in args["names"]]
    finally:
        _, status = os.waitpid(pid, 0)
    if not data:
        raise RuntimeError(f"what was to resolve the names ended with status {os.waitstatus_to_exitcode(status)}")
    answers = json.loads(data)
    if isinstance(answers, str):
        raise RuntimeError(answers)
    return list(answers)


def _child(args: dict[str, Any], read: int, write: int) -> None:
    try:
        os.close(read)
        try:
            if args["mnt"]:
                sys_.setns(args["mnt"], sys_.CLONE_NEWNS)
            said: object = _lookups(args["names"], args.get("at_once", 1), args["timeout_s"])
        except OSError as error:
            said = f"could not join the container's files: {error}"
        data = json.dumps(said).encode()
        while data:
            data = data[os.write(write, data) :]
    finally:
        os._exit(0)


def _late(timeout_s: float) -> dict[str, Any]:
    return {"outcome": "timed_out", "addresses": [], "detail": f"no answer within {timeout_s} s"}


def _lookups(names: list[tuple[str, int]], at_once: int, timeout_s: float) -> list[dict[str, Any]]:
    if at_once <= 1:
        return [_lookup(name, family) for name, family in names]
    answers = [_late(timeout_s) for _ in names]
    todo, lock = iter(enumerate(names)), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number, (name, family) = next(todo, (-1, ("", 0)))
            if number < 0:
                return
            answers[number] = _lookup(name, family)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(at_once, len(names)))]
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(answers)


def _lookup(name: str, family: int) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        if "\0" in name:
            # glibc would ask for what stands before it.
            raise ValueError("there is a null byte in it")
        found = socket.getaddrinfo(name, None, _FAMILIES.get(family, socket.AF_UNSPEC), socket.SOCK_STREAM)
        # Once each: glibc reads "::1 localhost" in a hosts file as 127.0.0.1, too.
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        answer: dict[str, Any] = {"outcome": "connected", "addresses": addresses}
    except socket.gaierror as error:
        outcome = _OUTCOMES.get(error.errno or 0, "probe_error")
        answer = {"outcome": outcome, "addresses": [], "detail": error.strerror}
    except ValueError as error:
        # Python itself refuses it, as IDNA does a label of more than 63 characters: nobody was asked.
        answer = {"outcome": "probe_error", "addresses": [], "detail": f"{name!r}: {error}"}
    answer["latency_ms"] = round((time.perf_counter() - started) * 1000, 3)
    return answer
