"""Wires on a machine that the harness is not on: cables between namespaces, addresses and routes, made with `ip`."""

from __future__ import annotations

import os
import re
from typing import Any

from netfacts.agent import command

_IP_S = 10.0
# One of a batch, and not several.
_LINE = re.compile(r"[\w.:/ -]+")


async def plug(args: dict[str, Any]) -> bool:
    """Lay a cable between the network namespaces of the processes `segment` and `pid`.

    One end is `port`, with the link index `index`, the other one `interface`; both are left down.

    Raises: OSError with the words of `ip`.
    """
    await _ip(
        f"link add name {args['port']} index {args['index']} netns {args['segment']} "
        f"type veth peer name {args['interface']} netns {args['pid']}"
    )
    return True


async def equip(args: dict[str, Any]) -> bool:
    """Give `interface` its `addresses` ("198.51.100.10/24") and set it up.

    Raises: OSError with the words of `ip`.
    """
    name = args["interface"]
    await _ip(*(f"address add {address} dev {name}" for address in args["addresses"]), f"link set dev {name} up")
    return True


async def route(args: dict[str, Any]) -> bool:
    """Do `verb` ("add", "replace", "del") to the route to `prefix` by way of `via`, or out of `interface`.

    Either may be "".

    Raises: OSError with the words of `ip`.
    """
    family = "-6" if ":" in args["prefix"] else "-4"
    words = ["route", args["verb"], args["prefix"]]
    for key, value in (("via", args["via"]), ("dev", args["interface"])):
        words += [key, value] if value else []
    await _ip(" ".join(words), options=(family,))
    return True


async def _ip(*lines: str, options: tuple[str, ...] = ()) -> None:
    """Carry out several commands by one process.

    Raises: OSError with the words of `ip`; ValueError where a line is more than words.
    """
    if not all(map(_LINE.fullmatch, lines)):
        raise ValueError(f"these are no commands for ip: {lines}")
    text = "".join(f"{line}\n" for line in lines)
    done = await command.execute({"argv": ["ip", *options, "-batch", "-"], "input": text, "timeout_s": _IP_S})
    if done["exit"] != 0:
        raise OSError(f"ip -batch: {done['err'].strip() or done['out'].strip()}\n{text}")


def own_namespace(pid: int) -> int:
    """Give the inode of the network namespace of a process.

    Raises: OSError where there is no such process.
    """
    return os.stat(f"/proc/{int(pid)}/ns/net").st_ino


def is_agent(pid: int) -> bool:
    """Say whether a process is an agent, by its name."""
    with open(f"/proc/{int(pid)}/comm") as comm:
        return comm.read().startswith("nf-")
