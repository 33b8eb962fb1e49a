"""One engine takes another's place on a host: same machine, same data root, with all that the first had built."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from netfacts.engine import Installation
from netfacts.model.errors import EngineError
from netfacts.topology.container import Container
from netfacts.topology.host import Host

LIVE = ("--live-restore",)
"""The flag with which an engine that ends leaves its containers running."""


def take_over(hosts: Sequence[Host], successor: Installation) -> None:
    """End the engine of each host in order and start `successor` in its place, with the same flags.

    With the flag `LIVE` containers keep running. Otherwise the engine stops them, and what does not come back by a
    restart policy is started again by `resume`.

    Raises: EngineError where an engine does not stop or start, or a container that should run does not.
    """
    with ThreadPoolExecutor(len(hosts)) as pool:
        for future in [pool.submit(_take_over, host, successor) for host in hosts]:
            future.result()


def _take_over(host: Host, successor: Installation) -> None:
    live = set(LIVE) <= set(host.engine.flags)
    if not live:
        host.release()
    host.engine.stop()
    host.engine.become(successor)
    if live:
        for container in _running(host):
            _refresh_live(container)


def _running(host: Host) -> list[Container]:
    """The containers that ran when they were last asked about."""
    return [container for container in host.containers if container.said and container.pid]


def _refresh_live(container: Container) -> None:
    before = container.pid
    container.refresh()
    if container.pid != before:
        raise EngineError(
            f"container {container.name} did not keep running while the engine was replaced",
            where=container.engine.machine.name,
            returned=f"its first process was {before} and is {container.pid or 'none'}; it is {container.state}",
        )


def resume(hosts: Sequence[Host]) -> None:
    """Start the containers again that ran before their engine was replaced and do not run now, first made first.

    Raises: EngineError with the engine's words.
    """
    for host in hosts:
        for container in _running(host):
            before = container.pid
            container.refresh()
            if not container.pid:
                host.start(container)
            container.move(before)
