"""Carriers: what stands between a TUN device and a UDP socket, as the daemon of Flannel's udp backend does.

A packet that the kernel hands to the device is sent, as it is, in a datagram to the host behind which its destination
is; what comes in a datagram is handed to the kernel. A carrier is a child of its worker: it blocks in `poll`, which
would hold up all else that a worker does.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import select
import socket
import struct
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from netfacts.agent import child
from netfacts.agent import syscalls as sys_

_TUN = "/dev/net/tun"
_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST_BYTES = 1 << 16
# So many in a row from one side, so that the other one is not kept waiting.
_BURST = 64
_DESTINATION = slice(16, 19)
_SUBNET_BITS = 24


class Carriers:
    """The carriers of one worker, by number."""

    def __init__(self) -> None:
        self._running: dict[int, int] = {}
        self._numbers = itertools.count(1)

    async def open(self, args: dict[str, Any]) -> int:
        """Carry between the TUN device `device`, which is made where it is not there, and UDP `port` of `address`.

        `ways` maps subnets ("10.20.1.0/24", each of this size) to the hosts behind which they are. Gives a number.

        Raises: OSError, where the device has a carrier already, too; ValueError. It has made no device then.
        """
        ways = {_beginning(subnet): str(IPv4Address(host)) for subnet, host in args["ways"].items()}
        device = os.open(_TUN, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", args["device"].encode(), _IFF_TUN | _IFF_NO_PI))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
                sock.bind((args["address"], args["port"]))
                pid = child.fork(lambda: _carry(device, sock, args["port"], ways), keep=(device, sock.fileno()))
                # Its addresses and routes are to outlive this carrier: it may be followed by another.
                fcntl.ioctl(device, _TUNSETPERSIST, 1)
        finally:
            os.close(device)
        number = next(self._numbers)
        self._running[number] = pid
        return number

    async def close(self, args: dict[str, Any]) -> bool:
        """End the `carrier` of this number; says whether there was one. Its device stays."""
        pid = self._running.pop(args["carrier"], None)
        if pid is None:
            return False
        child.end(pid)
        return True


def _carry(device: int, sock: socket.socket, port: int, hosts: Mapping[bytes, str]) -> None:
    sys_.set_name("nf-carrier")
    # It stands for a path: one that is kept waiting by what else the machine does would be measured for that.
    child.go_first()
    poll = select.poll()
    for descriptor in (device, sock.fileno()):
        poll.register(descriptor, select.POLLIN)
    while True:
        for descriptor, event in poll.poll():
            if descriptor != device:
                _receive(device, sock)
            elif event & select.POLLIN:
                _send(device, sock, port, hosts)
            else:
                # The device has been removed.
                return


def _beginning(subnet: str) -> bytes:
    """Give what all addresses of a subnet begin with. Raises: ValueError where these are not its three first bytes."""
    network = IPv4Network(subnet)
    if network.prefixlen != _SUBNET_BITS:
        raise ValueError(f"{subnet} is no /{_SUBNET_BITS}")
    return network.network_address.packed[:3]


def _send(device: int, sock: socket.socket, port: int, hosts: Mapping[bytes, str]) -> None:
    for _ in range(_BURST):
        try:
            packet = os.read(device, _LARGEST_BYTES)
        except OSError:
            # There is no more, or the device is down.
            return
        host = hosts.get(packet[_DESTINATION])
        if host:
            try:
                sock.sendto(packet, (host, port))
            except OSError:
                # Lost, as on any wire.
                continue


def _receive(device: int, sock: socket.socket) -> None:
    for _ in range(_BURST):
        try:
            packet = sock.recv(_LARGEST_BYTES)
            os.write(device, packet)
        except BlockingIOError:
            return
        except OSError:
            continue
