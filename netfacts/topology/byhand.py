"""Wiring by hand: named namespaces, veth pairs, addresses and routes, step by step and past the engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from ipaddress import ip_interface

from netfacts.lab import Machine, Vantage
from netfacts.lab.wire import Netlink
from netfacts.model.errors import LabError

_NAMES = "/run/netns"
"""Where `ip netns` keeps its names."""


class ByHand:
    """Does on a machine what a person does with `ip`, whose commands its methods are named after.

    Links and namespaces are named after roles, differently in every check. `within` is the namespace that a step is
    done in, as by `ip netns exec`; without it that is the machine's own. Undo: what it puts into `undo`.
    """

    def __init__(self, machine: Machine, tag: str, undo: list[Callable[[], object]]) -> None:
        """Raises: OffLimits where the machine is somebody's."""
        self._machine = machine
        self._own = machine.netlink
        self._tag = tag
        self._undo = undo

    def name(self, role: str) -> str:
        """Give what a link or namespace in this role is called."""
        return f"{role}-{self._tag}"

    # -- ip netns

    def netns(self, role: str) -> Vantage:
        """Give the named namespace in this role."""
        name = self.name(role)
        return Vantage(self._machine, name, f"{_NAMES}/{name}")

    def netns_add(self, role: str) -> Vantage:
        """Make a namespace that has a name.

        Raises: LabError.
        """
        space = self.netns(role)
        self._undo.append(partial(self._forget, space))
        self._run("ip", "netns", "add", space.label)
        # The agent's worker in it would keep the namespace, name or not.
        self._undo.append(partial(self._machine.release, self._machine.inode(space.net)))
        return space

    def netns_link(self, pid: int) -> str:
        """Name the namespace of a process after its PID, by a symbolic link; gives that name.

        Raises: LabError.
        """
        path = f"{_NAMES}/{pid}"
        self._undo.append(partial(self._run, "rm", "-f", path))
        self._run("mkdir", "-p", _NAMES)
        self._run("ln", "-s", f"/proc/{pid}/ns/net", path)
        return str(pid)

    # -- ip link, ip address, ip route

    def link_add(self, role: str, peer: str) -> tuple[str, str]:
        """Make a veth pair in the machine's own namespace; gives the names of its ends.

        Raises: LabError.
        """
        names = self.name(role), self.name(peer)
        for name in names:
            self._undo.append(partial(self._own.remove, name))
        self._own.do("link", "add", ifname=names[0], kind="veth", peer={"ifname": names[1]})
        return names

    def link_set(
        self,
        link: str,
        *,
        up: bool | None = None,
        master: str | None = None,
        name: str = "",
        netns: Vantage | None = None,
        within: Vantage | None = None,
    ) -> None:
        """Set a link up or down, make it a port of `master` (of none, where that is ""), rename it, or move it.

        Raises: LabError.
        """
        changes: dict[str, str | int] = {"ifname": name} if name else {}
        with ExitStack() as opened:
            netlink = opened.enter_context(self._within(within))
            if up is not None:
                changes["state"] = "up" if up else "down"
            if master is not None:
                changes["master"] = netlink.index(master) if master else 0
            if netns is not None:
                changes["net_ns_fd"] = opened.enter_context(self._opened(netns))
            netlink.do("link", "set", index=netlink.index(link), **changes)

    def address_add(self, address: str, link: str, *, within: Vantage | None = None) -> None:
        """Give a link an address with its prefix length.

        Raises: LabError.
        """
        self._address("add", address, link, within)

    def address_del(self, address: str, link: str, *, within: Vantage | None = None) -> None:
        """Take an address from a link.

        Raises: LabError.
        """
        self._address("del", address, link, within)

    def route_add(self, destination: str, via: str, *, within: Vantage | None = None) -> None:
        """Add a route.

        Raises: LabError.
        """
        with self._within(within) as netlink:
            netlink.route("add", destination, via)

    def wire(self, inside: Vantage, bridge: str, address: str, gateway: str) -> str:
        """Do for one container without a network what the bridge driver does; gives the name of the bridge's new port.

        Raises: LabError.
        """
        port, end = self.link_add("port", "end")
        self.link_set(port, master=bridge)
        self.link_set(port, up=True)
        self.link_set(end, netns=inside)
        self.link_set(end, name="eth0", within=inside)
        self.link_set("eth0", up=True, within=inside)
        self.address_add(address, "eth0", within=inside)
        self.route_add("0.0.0.0/0", gateway, within=inside)
        return port

    # -- beneath

    def _address(self, verb: str, address: str, link: str, within: Vantage | None) -> None:
        interface = ip_interface(address)
        with self._within(within) as netlink:
            index, bits = netlink.index(link), interface.network.prefixlen
            netlink.do("addr", verb, index=index, address=str(interface.ip), prefixlen=bits)

    @contextmanager
    def _within(self, where: Vantage | None) -> Iterator[Netlink]:
        """Open a netlink socket in a namespace for one step: one that stayed open would keep the namespace."""
        if where is None or not where.net:
            yield self._own
            return
        with self._opened(where) as fd, closing(Netlink(f"/proc/{os.getpid()}/fd/{fd}")) as netlink:
            yield netlink

    @contextmanager
    def _opened(self, where: Vantage) -> Iterator[int]:
        """Hold the namespace of a vantage open by a file descriptor.

        Its path must have no symbolic link to elsewhere in it: that would lead this process out of the machine.

        Raises: LabError where it is gone.
        """
        try:
            fd = os.open(self._machine.path(where.net or "/proc/1/ns/net"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise LabError("could not open a network namespace", where=str(where), returned=str(error)) from None
        try:
            yield fd
        finally:
            os.close(fd)

    def _forget(self, space: Vantage) -> None:
        """Take a namespace's name away; gone already is success."""
        if space.label in (self._machine.names(_NAMES) or ()):
            self._run("ip", "netns", "delete", space.label)

    def _run(self, *argv: str) -> None:
        self._machine.execute(argv).checked("could not name a namespace", LabError)
