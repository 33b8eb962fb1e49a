"""Wires: bridges, veth pairs, addresses and routes, built with pyroute2 in the namespaces where they belong."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from ipaddress import IPv4Interface, IPv6Interface
from types import TracebackType
from typing import Any, Self

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from netfacts.model.errors import LabError

_CLONE_NEWNET = 0x40000000
# Ports have indexes that no interface of a machine has. Where both ends of a veth have the same, in namespaces of their
# own, the kernel takes them for one device and may be a second late to see its carrier (linkwatch_urgent_event in
# net/core/link_watch.c); until then IPv6 on it hears no neighbour solicitation.
_PORT_INDEX = 1000
# NUD_PERMANENT of linux/neighbour.h.
_PERMANENT = 0x80
# All netlink is spoken in this thread. pyroute2 forks, and Python raises KeyboardInterrupt in the main thread alone:
# there it would come amid the fork, and leave locks taken for good. And pyroute2 opens a socket for each thread.
_SPEAKER = ThreadPoolExecutor(1, thread_name_prefix="netlink")


class BridgeError(LabError):
    """The kernel made no bridge."""


class Netlink:
    """A netlink socket in one network namespace."""

    def __init__(self, netns: str) -> None:
        self._socket: Any = _spoken(lambda: IPRoute(netns=netns))

    def _ask(self, verb: str, *args: Any, **options: Any) -> list[Any]:
        """Have the socket do something; gives all that the kernel answers. Raises: NetlinkError."""
        answers: list[Any] = _spoken(lambda: list(getattr(self._socket, verb)(*args, **options) or ()))
        return answers

    def index(self, name: str) -> int:
        """Give the index of the link of this name.

        Raises: LabError.
        """
        found = self._ask("link_lookup", ifname=name)
        if not found:
            raise LabError(f"there is no link {name}")
        return int(found[0])

    def mtu(self, name: str) -> int:
        """Give the MTU of a link, in bytes.

        Raises: LabError.
        """
        (link,) = self._ask("get_links", self.index(name))
        return int(link.get("mtu"))

    def do(self, noun: str, verb: str, **args: Any) -> None:
        """Carry out one request, such as `do("link", "set", index=2, state="up")`.

        Raises: LabError with the kernel's words.
        """
        try:
            self._ask(noun, verb, **args)
        except NetlinkError as error:
            raise LabError(f"could not {verb} {noun} {args}", returned=str(error)) from None

    def remove(self, name: str) -> None:
        """Remove the link of this name; gone already is success.

        Raises: LabError.
        """
        for index in self._ask("link_lookup", ifname=name):
            try:
                self._ask("link", "del", index=index)
            except NetlinkError as error:
                # The kernel may just now take it down with the namespace of its peer.
                if error.code != errno.ENODEV:
                    raise LabError(f"could not del link {name}", returned=str(error)) from None

    def equip(self, name: str, addresses: Sequence[IPv4Interface | IPv6Interface]) -> None:
        """Give a link its addresses and set it up.

        Raises: LabError.
        """
        index = self.index(name)
        for address in addresses:
            self.do("addr", "add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
        self.do("link", "set", index=index, state="up")

    def neighbour(self, name: str, mac: str, *, address: str, behind: str) -> None:
        """Tell a VXLAN device that a neighbour's IPv4 address is at `mac`, and that this is `behind` another host.

        Raises: LabError.
        """
        index = self.index(name)
        # Again is no error; there is no replacing.
        self.do("fdb", "append", ifindex=index, lladdr=mac, dst=behind)
        self.do("neigh", "replace", ifindex=index, lladdr=mac, dst=address, state=_PERMANENT)

    def bridge(self, name: str, port: str) -> None:
        """Make a bridge whose port is the link `port`, which is set up. Its MAC stays that link's, whoever joins them.

        Raises: LabError.
        """
        index = self.index(port)
        (link,) = self._ask("get_links", index)
        self.do("link", "add", ifname=name, kind="bridge", address=link.get("address"))
        self.do("link", "set", index=index, master=self.index(name), state="up")

    def route(self, verb: str, prefix: str, via: str, interface: str = "", *, onlink: bool = False) -> None:
        """Do `verb` ("add", "replace", "del") to a route; with `via` "" it is to what is beside the interface.

        `onlink`: `via` is taken to be beside the interface, whatever that's addresses are.

        Raises: LabError.
        """
        through: dict[str, Any] = {"oif": self.index(interface)} if interface else {}
        if via:
            through["gateway"] = via
        if onlink:
            through["flags"] = ["onlink"]
        self.do("route", verb, dst=prefix, **through)

    def unroute(self, prefix: str) -> None:
        """Remove the route to a prefix; gone already is success.

        Raises: LabError.
        """
        try:
            self._ask("route", "del", dst=prefix)
        except NetlinkError as error:
            if error.code != errno.ESRCH:
                raise LabError(f"could not del route {prefix}", returned=str(error)) from None

    def close(self) -> None:
        """Close the socket."""
        self._ask("close")


class Segment:
    """An L2 wire: a bridge in a network namespace of its own, which lives as long as this object holds it open."""

    def __init__(self, name: str) -> None:
        """Make it. Raises: LabError; BridgeError where the kernel has no bridges."""
        self.name = name
        self._stack = ExitStack()
        self._fd = _new_netns()
        self._stack.callback(os.close, self._fd)
        self._ports = 0
        try:
            self._netlink = Netlink(f"/proc/{os.getpid()}/fd/{self._fd}")
            self._stack.callback(self._netlink.close)
            self._make_bridge()
            self._bridge = self._netlink.index("segment")
            self._netlink.do("link", "set", index=self._bridge, state="up")
        except BaseException:
            self._stack.close()
            raise

    def _make_bridge(self) -> None:
        """Raises: BridgeError."""
        try:
            self._netlink.do("link", "add", ifname="segment", kind="bridge")
        except LabError as error:
            raise BridgeError(error.attempted, returned=error.returned) from None

    def plug(self, pid: int, interface: str) -> None:
        """Give the network namespace of process `pid` an `interface` on this segment; it is left down.

        Raises: LabError.
        """
        self._ports += 1
        port = f"port{self._ports}"
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._netlink.do(
                "link",
                "add",
                ifname=port,
                index=_PORT_INDEX + self._ports,
                kind="veth",
                peer={"ifname": interface, "net_ns_fd": fd},
            )
        finally:
            os.close(fd)
        self._netlink.do("link", "set", index=self._netlink.index(port), master=self._bridge, state="up")

    def supports(self, kind: str) -> bool:
        """Say whether the kernel makes links of this kind here."""
        needed: dict[str, dict[str, int | str]] = {
            "vxlan": {"vxlan_id": 1},
            "vlan": {"vlan_id": 1, "link": self._bridge},
            "ipvlan": {"link": self._bridge},
            # Without an address of its own it would be the one that the kernel makes by itself.
            "ipip": {"ipip_local": "198.51.100.1"},
        }
        extra = needed.get(kind, {})
        try:
            self._netlink.do("link", "add", ifname="trial", kind=kind, **extra)
        except LabError:
            return False
        self._netlink.do("link", "del", index=self._netlink.index("trial"))
        return True

    def close(self) -> None:
        """Let go of the namespace: its bridge and its ends of the wires go with it."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _spoken(job: Callable[[], Any]) -> Any:
    """Do this in the thread that speaks netlink."""
    return _SPEAKER.submit(job).result()


def _new_netns() -> int:
    """Make a network namespace and give a file descriptor that holds it.

    In a thread of its own: unshare moves the calling thread only, and this one must stay where it is.

    Raises: LabError.
    """
    result: list[int | OSError] = []

    def make() -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET) != 0:
            result.append(OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno())))
            return
        result.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    made = result[0]
    if isinstance(made, OSError):
        raise LabError("could not make a network namespace", returned=str(made), remedy="run as root")
    return made
