"""What a host's engine gets from its lease: docker0's addresses and MTU, as Flannel hands them to Docker.

Source: https://github.com/flannel-io/flannel/blob/v0.26.7/dist/mk-docker-opts.sh
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network

from netfacts.engine import Engine
from netfacts.fabric.backend import Node


def hand_over(engine: Engine, node: Node, networks: Iterable[IPv4Network], *, flags: tuple[str, ...] = ()) -> None:
    """Start a host's engine again with what its host has leased, and let containers of fabrics' networks reach its own.

    `flags` are added. Containers of before do not come back by themselves.

    Undo: none; rules stay until the lab ends.

    Raises: EngineError with the end of its log; LabError where the firewall refuses.
    """
    lease = node.lease
    engine.stop()
    engine.start(
        flags=(
            f"--bip={lease.gateway}/{lease.subnet.prefixlen}",
            f"--mtu={node.mtu_bytes}",
            # What leaves for another host's container is to keep its address.
            "--ip-masq=false",
            *flags,
        )
    )
    for network in networks:
        _accept(engine, network)


def _accept(engine: Engine, network: IPv4Network) -> None:
    """Let pass what engines' own rules drop: they know of no container behind another interface.

    Flannel's own rules are appended to FORWARD, where 28 and later have dropped it before. Those later also drop in the
    raw table what comes for a container from elsewhere than its bridge.
    """
    for table, chain in (("filter", "DOCKER-USER"), ("raw", "PREROUTING")):
        rule = f"-s {network} -d {network} -j ACCEPT"
        if engine.execute(f"iptables -t {table} -C {chain} {rule}".split()).exit_status:
            engine.run(f"iptables -t {table} -I {chain} {rule}")
