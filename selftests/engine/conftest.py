"""A cache in a folder of its own, a mmdebstrap that unpacks what a test wants, and bundles made of shell scripts."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import random
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import cache as cache_of
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Writes what an engine's root file system needs at the least.
FILES = """\
mkdir -p "$target/usr/sbin" "$target/bin" "$target/etc"
echo "#!/bin/sh" >"$target/usr/sbin/dockerd"
echo a >"$target/bin/tool"
"""
VERSION = "20.10.24+dfsg1-1"


def packages(version: str = VERSION, **more: str) -> str:
    """What mmdebstrap's hook says of the packages."""
    return "".join(f'echo "netfacts-package {name} {it}"\n' for name, it in {"docker.io": version, **more}.items())


GOOD = FILES + packages()

Fake = Callable[..., Path]


@pytest.fixture
def bin_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of engines, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "netfacts" / "engines"


@pytest.fixture
def mmdebstrap(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a mmdebstrap before all others; gives the file to which it writes a line for each call."""

    def make(script: str = GOOD) -> Path:
        folder = tmp_path / "fake"
        folder.mkdir(exist_ok=True)
        program = folder / "mmdebstrap"
        calls = tmp_path / "calls"
        # Its hook has lines of its own; a call is to be one.
        program.write_text(
            f'#!/bin/sh\nset -e\necho "$$ $*" >>{calls}\nfor target; do :; done\nmkdir -p "$target"\n{script}'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        if str(folder) not in os.environ["PATH"].split(":"):
            monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return calls

    return make


def left(cache: Path) -> list[str]:
    """What stands in the cache, but for the locks."""
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock")) if cache.exists() else []


# -- bundles


def programs(version: str = "28.5.2") -> dict[str, bytes]:
    """The programs of a bundle, as shell scripts that say what they are."""
    said = {
        "dockerd": f"Docker version {version}, build 0123456",
        "containerd": "containerd github.com/containerd/containerd v1.7.28 0123456",
        "containerd-shim-runc-v2": "containerd-shim-runc-v2: v1.7.28",
        "runc": "runc version 1.3.3",
        "docker-proxy": "Usage of docker-proxy:",
        "docker": f"Docker version {version}, build 0123456",
        "docker-init": "tini version 0.19.0",
        "ctr": "ctr github.com/containerd/containerd v1.7.28",
    }
    # What does not compress, so that there is something to transfer.
    noise = random.Random(version).randbytes(500).hex()
    return {name: f"#!/bin/sh\necho '{text}'\nexit\n{noise}\n".encode() for name, text in said.items()}


def member(name: str, data: bytes = b"", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    """A file of an archive, with fields of its header changed."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    for field, value in changes.items():
        setattr(info, field, value)
    return info, data


def members(version: str = "28.5.2") -> list[tuple[tarfile.TarInfo, bytes]]:
    """The files of a good bundle."""
    return [
        member("docker/", type=tarfile.DIRTYPE),
        *(member(f"docker/{name}", data) for name, data in programs(version).items()),
    ]


def archive(*files: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A .tgz of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, data in files:
            tar.addfile(info, io.BytesIO(data))
    # The same each time: no time of making in it.
    return gzip.compress(buffer.getvalue(), mtime=0)


@cache_of
def bundle(version: str = "28.5.2") -> bytes:
    """A good bundle."""
    return archive(*members(version))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# -- a server on this machine

Answer = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Serves what a test puts into `answers`: bytes, or a function that answers. `asked` are the paths that were."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Answer] = {}
        self.asked: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                answer = server.answers.get(self.path)
                if answer is None:
                    self.send_error(404)
                elif isinstance(answer, bytes):
                    send(self, answer)
                else:
                    answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


def send(
    request: BaseHTTPRequestHandler, data: bytes, *, length: int | None = None, kind: str = "application/octet-stream"
) -> None:
    """Answer with data, announcing another length where one is given."""
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(data) if length is None else length))
    request.end_headers()
    request.wfile.write(data)


@pytest.fixture
def server() -> Iterator[Server]:
    """A web server on this machine. Undo: it ends."""
    server = Server()
    yield server
    server.close()
