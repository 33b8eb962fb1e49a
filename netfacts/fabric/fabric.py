"""A fabric: hosts that have leased subnets of one network, and the ways between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TypeVar

from netfacts.fabric.backend import Backend, Node
from netfacts.fabric.lease import Config, Lease
from netfacts.fabric.store import Store
from netfacts.lab import Machine
from netfacts.model.errors import NetfactsError

T = TypeVar("T")
R = TypeVar("R")


class Fabric:
    """Hosts whose containers' addresses are routed between them.

    Undo: `close`, or the end of its machines. Leases stay in the store until another fabric of its name is laid.
    """

    def __init__(self, config: Config, backend: Backend, store: Store) -> None:
        """Write its configuration into the store; no host is part of it yet.

        Raises: LabError where the store does not answer; the backend has ended then.
        """
        self.config = config
        self.backend = backend
        self.nodes: dict[str, Node] = {}
        self._store = store
        try:
            # Hosts of a fabric of this name that was before have left it, and its leases would stay for a day.
            store.remove(f"{config.prefix}/")
            store.put(config.key, config.encode())
        except NetfactsError:
            # What it has made already on machines that are no hosts.
            backend.end()
            raise

    def join(self, *machines: Machine) -> None:
        """Make hosts part of it: each leases a subnet, and all that there are now learn the ways to each other.

        Raises: LabError, also where the store does not answer.
        """
        # Only who has a lease is known to the others. Those that have one are to be closed, also where others have not.
        joined = _ended(machines, lambda machine: self.backend.join(machine, self.config, self._store))
        for future in joined:
            if not future.exception():
                node = future.result()
                self.nodes[node.name] = node
        for future in joined:
            future.result()
        _each([*self.nodes.values()], lambda node: self.backend.connect(node, self.peers(node)))

    def peers(self, node: Node) -> list[Node]:
        """Give the other hosts that are part of it."""
        return [other for other in self.nodes.values() if other is not node]

    def leases(self) -> list[Lease]:
        """Read from the store which subnets are leased now.

        Raises: LabError where it does not answer, or holds something else.
        """
        found = self._store.keys(self.config.leases)
        return [Lease.decode(key, value) for key, value in found.items()]

    def __getitem__(self, name: str) -> Node:
        """Give the host of this name. Raises: KeyError."""
        return self.nodes[name]

    def close(self) -> None:
        """Take it from its hosts, and from where else it is; a host that is lost has taken its part along.

        Raises: LabError.
        """
        left = [node for node in self.nodes.values() if node.machine.agent.alive]
        with ExitStack() as stack:
            stack.callback(self.backend.end)
            stack.callback(self.nodes.clear)
            _each(left, lambda node: self.backend.close(node, self.peers(node)))


def _each(those: Sequence[T], job: Callable[[T], R]) -> list[R]:
    """Do something to all at once. Raises: what the first that failed has raised, when all have come to an end."""
    return [future.result() for future in _ended(those, job)]


def _ended(those: Sequence[T], job: Callable[[T], R]) -> list[Future[R]]:
    """Do something to all at once, and give how each of them has ended."""
    with ThreadPoolExecutor(max(1, len(those))) as pool:
        return [pool.submit(job, one) for one in those]
