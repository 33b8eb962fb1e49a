"""Readings from /proc, and files."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.agent import reading


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F:0050", ("127.0.0.1", 80)),
        ("00000000:1F90", ("0.0.0.0", 8080)),
        ("0A6433C6:E001", ("198.51.100.10", 57345)),
        ("00000000000000000000000001000000:0035", ("::1", 53)),
        ("B80D0120000001000000000014000000:FFFF", ("2001:db8:1::14", 65535)),
        ("0000000000000000FFFF00000A6433C6:0050", ("::ffff:198.51.100.10", 80)),
    ],
)
@pytest.mark.skipif(os.sys.byteorder != "little", reason="these lines are from a little-endian machine")  # type: ignore[attr-defined]
def test_address_of_proc_net_is_read(text: str, address: tuple[str, int]) -> None:
    assert reading._address(text) == address


@given(st.ip_addresses(), st.integers(0, 65535))
def test_any_address_is_read_as_the_kernel_prints_it(address: object, port: int) -> None:
    """The kernel prints each 32-bit word of an address as a number of this machine."""
    packed = address.packed  # type: ignore[attr-defined]
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    text = "".join(f"{word:08X}" for word in words) + f":{port:04X}"

    read, read_port = reading._address(text)

    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    assert (socket.inet_pton(family, read), read_port) == (packed, port)


def test_own_sockets_are_found_with_their_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        found = {(entry["protocol"], entry["port"]): entry for entry in asyncio.run(reading.sockets({}))}

        mine = found["tcp", tcp.getsockname()[1]]
        assert (mine["family"], mine["address"], mine["state"]) == (4, "127.0.0.1", "LISTEN")
        assert os.getpid() in mine["pids"]
        mine = found["udp", udp.getsockname()[1]]
        assert (mine["address"], mine["state"]) == ("127.0.0.1", "UNCONN")
        assert os.getpid() in mine["pids"]


def test_own_process_is_found_with_its_command_line_and_namespaces() -> None:
    (mine,) = [entry for entry in asyncio.run(reading.processes({})) if entry["pid"] == os.getpid()]

    assert mine["parent"] == os.getppid()
    assert mine["argv"] == Path("/proc/self/cmdline").read_text().split("\0")[:-1]
    assert mine["name"] == Path("/proc/self/comm").read_text().strip()
    assert mine["namespaces"]["net"] == os.stat("/proc/self/ns/net").st_ino
    assert set(mine["namespaces"]) == {"net", "mnt", "pid", "ipc", "uts"}


def test_files_give_text_names_or_an_error_each(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"caf\xe9\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").touch()
    (tmp_path / "folder" / "a").touch()
    args = {"root": str(tmp_path), "paths": ["/text", "/folder", "/none"]}

    text, folder, none = asyncio.run(reading.files(args))

    assert text == {"text": "caf\ufffd\n"}
    assert folder == {"names": ["a", "b"]}
    assert (none["error"], none["errno"]) == ("No such file or directory", 2)


def test_write_makes_the_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c"

    assert asyncio.run(reading.write({"path": str(path), "text": "hé\n"})) == 3
    assert path.read_text() == "hé\n"
