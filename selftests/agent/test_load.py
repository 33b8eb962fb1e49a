"""Loads of the agent, on this machine's loopback: what they tell, and that nothing makes them more than they may be."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from netfacts.agent import load as loads
from netfacts.agent.listeners import Listeners

Job = Callable[[dict[str, Any]], Awaitable[Any]]


def with_source(job: Job) -> Any:
    """Do something with a source, given what leads to it."""

    async def run() -> Any:
        listeners = Listeners()
        source = {"kind": "load", "address": "127.0.0.1", "port": 0, "urgent": False}
        opened = await listeners.open(source)
        try:
            return await job({"address": "127.0.0.1", "port": opened["port"]})
        finally:
            await listeners.close(opened)

    return asyncio.run(run())


def asked(**args: Any) -> dict[str, Any]:
    return {"address": "127.0.0.1", "window_s": 0.01, "timeout_s": 5.0, "urgent": False} | args


def children() -> set[str]:
    return {
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/stat")
        if f" {os.getpid()} " in path.read_text().rpartition(")")[2][:12]
    }


def test_load_tells_what_exchanges_and_slices_took() -> None:
    said = with_source(lambda to: loads.load(asked(**to)))

    assert said["outcome"] == "connected"
    assert 0 < said["exchanges"] <= loads.MOST_EXCHANGES
    assert said["slices"] > 0
    assert said["slice_bytes"] == loads.SLICE_BYTES
    assert 0 < said["exchange_s"] < 1
    assert 0 < said["slice_s"] < 1


def test_source_serves_one_load_after_the_other() -> None:
    async def thrice(to: dict[str, Any]) -> list[str]:
        return [(await loads.load(asked(**to)))["outcome"] for _ in range(3)]

    assert with_source(thrice) == ["connected"] * 3


def test_exchanges_are_bounded_in_number() -> None:
    said = with_source(lambda to: loads.load(asked(**to, window_s=loads.LONGEST_S / 2)))

    assert said["exchanges"] <= loads.MOST_EXCHANGES
    assert said["slices"] * loads.SLICE_BYTES <= loads.MOST_BYTES


def test_stream_ends_by_itself() -> None:
    async def drained(to: dict[str, Any]) -> tuple[int, float]:
        return await asyncio.to_thread(_drained, to)

    count, took_s = with_source(drained)

    assert 0 < count <= loads.MOST_BYTES + (1 << 20)
    assert took_s < loads.LONGEST_S + 5


def _drained(to: dict[str, Any]) -> tuple[int, float]:
    began, count = time.monotonic(), 0
    with socket.create_connection((to["address"], to["port"])) as sock:
        sock.sendall(b"s")
        while data := sock.recv(1 << 20):
            count += len(data)
    return count, time.monotonic() - began


@pytest.mark.parametrize("said", [b"", b"x", b"e"], ids=["nothing", "nonsense", "no message"])
def test_source_waits_for_nobody(said: bytes) -> None:
    async def after_a_silent_one(to: dict[str, Any]) -> Any:
        with socket.create_connection((to["address"], to["port"])) as sock:
            sock.sendall(said)
            return await loads.load(asked(**to))

    assert with_source(after_a_silent_one)["outcome"] == "connected"


def test_load_on_nobody_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert asyncio.run(loads.load(asked(port=port)))["outcome"] == "refused"


def test_load_on_one_who_says_nothing_times_out_and_leaves_no_child() -> None:
    before = children()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        said = asyncio.run(loads.load(asked(port=mute.getsockname()[1], timeout_s=0.2)))

    assert said["outcome"] == "timed_out"
    assert children() == before


@pytest.mark.parametrize("window_s", [0, -1, loads.LONGEST_S, float("inf"), float("nan")])
def test_look_without_bounds_is_refused(window_s: float) -> None:
    with pytest.raises(ValueError, match="can't look for"):
        asyncio.run(loads.load(asked(port=1, window_s=window_s)))


def test_closed_source_leaves_neither_child_nor_port() -> None:
    before = children()

    to = with_source(lambda to: asyncio.sleep(0, to))

    assert children() == before
    assert asyncio.run(loads.load(asked(**to)))["outcome"] == "refused"


def test_child_of_a_source_holds_no_other_listener_open() -> None:
    async def closed() -> str:
        listeners = Listeners()
        echo = await listeners.open({"kind": "tcp", "address": "127.0.0.1", "port": 0, "name": "box"})
        source = await listeners.open({"kind": "load", "address": "127.0.0.1", "port": 0, "urgent": False})
        await listeners.close(echo)
        said = await loads.load(asked(port=echo["port"]))
        await listeners.close(source)
        outcome: str = said["outcome"]
        return outcome

    assert asyncio.run(closed()) == "refused"
