"""A worker: serves requests inside one network namespace, many at a time."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from netfacts.agent import command, ethtool, farewell, protocol, reading, resolve, sysctl, wiring
from netfacts.agent.capture import Captures
from netfacts.agent.carrier import Carriers
from netfacts.agent.flow import Flows
from netfacts.agent.held import Held
from netfacts.agent.listeners import Listeners
from netfacts.agent.load import load
from netfacts.agent.probes import probe_all
from netfacts.agent.relay import Relays
from netfacts.agent.tap import Taps

_DESCRIPTORS = 16384

_Op = Callable[[dict[str, Any]], Awaitable[Any]]


def serve(channel: socket.socket) -> None:
    """Answer requests until the other end closes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A batch of probes takes a descriptor each, and shells allow 1024.
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _DESCRIPTORS) if hard >= 0 else _DESCRIPTORS, hard))
    asyncio.run(_serve(channel))


async def _serve(channel: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=channel, limit=protocol.MAX_LINE_BYTES)
    listeners, captures, taps, held, flows, relays = Listeners(), Captures(), Taps(), Held(), Flows(), Relays()
    carriers = Carriers()
    ops: dict[str, _Op] = {
        "probe": probe_all,
        "resolve": resolve.resolve,
        "hold": held.open,
        "say": held.say,
        "flow": flows.start,
        "flown": flows.stop,
        "load": load,
        "carry": carriers.open,
        "carried": carriers.close,
        "listen": listeners.open,
        "close": listeners.close,
        "capture": captures.start,
        "captured": captures.stop,
        "tap": taps.open,
        "tapped": taps.read,
        "exec": command.execute,
        "ethtool": ethtool.statistics,
        "sockets": reading.sockets,
        "processes": reading.processes,
        "files": reading.files,
        "folders": reading.folders,
        "inodes": reading.inodes,
        "write": reading.write,
        "sweep": farewell.sweep,
        "relay": relays.open,
        "plug": wiring.plug,
        "equip": wiring.equip,
        "route": wiring.route,
        "sysctl-set": sysctl.set_all,
        "sysctl-get": sysctl.get_all,
        "sysctl-all": sysctl.get_below,
    }
    tasks: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        task = asyncio.create_task(_answer(protocol.decode(line), ops, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _answer(request: dict[str, Any], ops: dict[str, _Op], writer: asyncio.StreamWriter) -> None:
    reply: dict[str, Any] = {"id": request["id"]}
    try:
        reply["ok"] = await ops[request["op"]](request.get("args", {}))
    except KeyError as error:
        reply |= {"error": f"no such operation, or an argument is missing: {error}", "kind": "refused"}
    except OSError as error:
        reply |= {"error": _words(error), "kind": "failed", "errno": error.errno}
    except Exception:
        reply |= {"error": traceback.format_exc(limit=3), "kind": "failed"}
    writer.write(protocol.encode(reply))
    await writer.drain()


def _words(error: OSError) -> str:
    """The kernel's words for an error, which asyncio replaces by its own in some."""
    words = os.strerror(error.errno) if error.errno else ""
    return str(error) if words.lower() in str(error).lower() else f"{words}: {error}"
