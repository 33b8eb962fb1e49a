"""The probe image: busybox and nothing else, made on the spot, as a closed lab reaches no registry."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import docker

from netfacts.model.errors import UsageError

IMAGE = "netfacts/probe:1"
EXPOSED = (8080, 8081)
"""The TCP ports that the image exposes; a listener stands on them where a check opens one."""

_APPLETS = (
    "cat",
    "env",
    "hostname",
    "httpd",
    "id",
    "ip",
    "ls",
    "mkdir",
    "nc",
    "nslookup",
    "ping",
    "ps",
    "sh",
    "sleep",
    "touch",
    "true",
    "wget",
)
_FILES = {
    # Without it glibc asks DNS before it looks into /etc/hosts.
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
    "etc/group": "root:x:0:\n",
    "www/index.html": "netfacts\n",
}
# What distributions call a static one.
_NAMES = ("busybox", "busybox.static", "busybox-static")
_ELF_INTERPRETER = b"/ld-"


def load_image(api: docker.APIClient, image: str = IMAGE, labels: Mapping[str, str] = MappingProxyType({})) -> None:
    """Load the probe image into an engine, by the name `image`.

    Raises: UsageError where the machine has no static busybox.
    """
    changes = ['CMD ["sleep", "1d"]', 'ENV ORIGIN="netfacts"', *(f"EXPOSE {port}" for port in EXPOSED)]
    changes += [f'LABEL {key}="{value}"' for key, value in labels.items()]
    repository, _, tag = image.rpartition(":")
    api.import_image_from_data(_tar(), repository=repository, tag=tag, changes=changes)


@cache
def _tar() -> bytes:
    busybox = next(filter(None, map(shutil.which, _NAMES)), None)
    program = Path(busybox).read_bytes() if busybox else b""
    if not program or _ELF_INTERPRETER in program[:4096]:
        raise UsageError(
            "the probe image needs a static busybox",
            returned="not found" if not busybox else f"{busybox} is linked dynamically",
            remedy="apt-get install busybox-static (`./toxw` does so)",
        )
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "www", "root", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        _add(tar, "bin/busybox", program, 0o755)
        for name, text in _FILES.items():
            _add(tar, name, text.encode(), 0o644)
        for applet in _APPLETS:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    tar.addfile(entry, io.BytesIO(data))
