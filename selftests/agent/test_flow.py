"""Flows of the agent, on this machine's loopback: no root, no lab. And their account, which is pure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.agent.flow import Account, Flows
from netfacts.agent.listeners import Listeners

KINDS = {"tcp": "tcp", "udp": "udp", "connections": "tcp"}
"""Of flow → of the listener that it goes to."""

Meanwhile = Callable[[Listeners, dict[str, int]], Awaitable[object]]


def flown(kind: str, meanwhile: Meanwhile | None = None, *, timeout_s: float = 5.0) -> dict[str, Any]:
    """Have a flow to a listener, do something, and end it."""

    async def run() -> dict[str, Any]:
        listeners, flows = Listeners(), Flows()
        opened = await listeners.open({"kind": KINDS[kind], "address": "127.0.0.1", "port": 0, "name": "box"})
        to = {"kind": kind, "address": "127.0.0.1", "port": opened["port"], "timeout_s": 5.0}
        number = await flows.start(to)
        await asyncio.sleep(0.2)
        if meanwhile:
            await meanwhile(listeners, opened)
        account = await flows.stop({"flow": number, "timeout_s": timeout_s})
        await listeners.close(opened)
        return account

    return asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_that_nothing_befalls_survives(kind: str) -> None:
    account = flown(kind)

    assert account["outcome"] == "connected"
    assert account["sent"] >= account["answered"] > 2
    assert account["gap_ms"] > 0
    assert account["peers"] == ([] if kind == "tcp" else ["127.0.0.1"])


@pytest.mark.parametrize("kind", ["udp", "connections"])
def test_what_came_to_nobody_is_refused(kind: str) -> None:
    account = flown(kind, lambda listeners, opened: listeners.close(opened), timeout_s=0.3)

    assert account["outcome"] == "refused"
    assert account["gap_ms"] >= 250
    assert account["answered"] < account["sent"]


@pytest.mark.parametrize("kind", ["udp", "connections"])
def test_a_flow_without_a_connection_goes_on_after_a_gap(kind: str) -> None:
    async def away(listeners: Listeners, opened: dict[str, int]) -> None:
        await listeners.close(opened)
        await asyncio.sleep(0.3)
        again = {"kind": KINDS[kind], "address": "127.0.0.1", "port": opened["port"], "name": "box"}
        opened |= await listeners.open(again)

    account = flown(kind, away)

    assert account["outcome"] == "connected"
    assert account["gap_ms"] >= 280


def test_a_connection_that_is_closed_has_not_survived() -> None:
    async def run() -> dict[str, Any]:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            flows = Flows()
            number = await flows.start({"kind": "tcp", "address": "127.0.0.1", "port": port, "timeout_s": 5.0})
            await asyncio.sleep(0.2)
            return await flows.stop({"flow": number, "timeout_s": 5.0})

    account = asyncio.run(run())

    assert account["outcome"] == "reset"
    assert account["answered"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_flow_to_nobody_does_not_begin(kind: str) -> None:
    async def run() -> None:
        await Flows().start({"kind": kind, "address": "127.0.0.1", "port": 1, "timeout_s": 0.5})

    with pytest.raises(ConnectionRefusedError):
        asyncio.run(run())


def test_a_silent_listener_is_no_beginning() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, ("127.0.0.1", 0))
        port = transport.get_extra_info("sockname")[1]
        try:
            await Flows().start({"kind": "udp", "address": "127.0.0.1", "port": port, "timeout_s": 0.2})
        finally:
            transport.close()

    with pytest.raises(TimeoutError):
        asyncio.run(run())


def test_gap_is_the_longest_time_without_an_answer() -> None:
    account = Account(10.0)
    for number, at in enumerate((10.1, 10.2, 11.0, 11.1)):
        account.answer(number, at)
    account.rest(11.5)

    assert account.gap_s == pytest.approx(0.8)
    assert account.gap_at == 10.2


def test_gap_may_last_to_the_end() -> None:
    account = Account(10.0)
    account.answer(0, 10.1)
    account.rest(12.0)

    assert account.gap_s == pytest.approx(1.9)
    assert account.gap_at == 10.1


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 10)), max_size=50))
def test_an_answer_counts_once_and_no_gap_is_longer_than_the_flow(steps: list[tuple[int, float]]) -> None:
    account, now = Account(0.0), 0.0
    for number, pause in steps:
        now += pause
        account.answer(number, now)
    account.rest(now)

    assert len(account.answered) == len({number for number, _ in steps})
    assert account.gap_s == pytest.approx(max((pause for _, pause in steps), default=0.0))
