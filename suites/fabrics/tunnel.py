"""Carries packets between a TUN device and a UDP socket, made unreadable for the wire, until it is killed.

Started as `tunnel.py DEVICE OWN-ADDRESS PEER-ADDRESS`, with the standard library alone. The device is there when the
socket is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct
import sys

_PORT = 51820
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_LARGEST_BYTES = 1 << 16
# No cipher: it is to be unreadable for who looks for a text, and for nobody else.
_SEALED = bytes(byte ^ 0x5A for byte in range(256))


def main(name: str, own: str, peer: str) -> None:
    """Carry packets both ways."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((own, _PORT))
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
        while True:
            for ready in select.select([device, sock.fileno()], [], [])[0]:
                # Lost, as on any wire, while one end is not up yet.
                with contextlib.suppress(OSError):
                    if ready == device:
                        sock.sendto(os.read(device, _LARGEST_BYTES).translate(_SEALED), (peer, _PORT))
                    else:
                        os.write(device, sock.recv(_LARGEST_BYTES).translate(_SEALED))


if __name__ == "__main__":
    main(*sys.argv[1:])
