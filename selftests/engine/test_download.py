"""`version:X.Y.Z`: downloaded from where the user says; what is not what it should be is refused with the reason."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from netfacts.engine import Installation, download, source
from netfacts.engine.progress import Step
from netfacts.engine.source import add, cached, resolve
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError, UsageError
from selftests.engine.conftest import ROOT, Server, archive, bundle, left, member, members, send, sha256

NAME = f"docker-28.5.2-{os.uname().machine}.tgz"


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of the caller's, no proxy, and an iptables."""
    for name in ("NETFACTS_ENGINE_URL", "NETFACTS_ENGINE_CHECKSUMS", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(source, "_require_iptables", lambda _: None)


@pytest.fixture
def sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of checksums that knows the good bundle."""
    path = tmp_path / "SHA256SUMS"
    path.write_text(f"{'0' * 64}  other.tgz\n{sha256(bundle())}  {NAME}\n")
    monkeypatch.setenv("NETFACTS_ENGINE_CHECKSUMS", str(path))
    return path


@pytest.fixture
def mirror(server: Server, cache: Path, sums: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server with the good bundle, and checksums that know it."""
    monkeypatch.setenv("NETFACTS_ENGINE_URL", f"{server.url}/linux/{{arch}}/docker-{{version}}-{{arch}}.tgz")
    server.answers[f"/linux/{os.uname().machine}/{NAME}"] = bundle()
    return server


def put(mirror: Server, answer: object) -> None:
    mirror.answers[f"/linux/{os.uname().machine}/{NAME}"] = answer  # type: ignore[assignment]


def refused(cache: Path, spec: str = "version:28.5.2") -> EngineError | UsageError:
    """Assert that an engine is refused and nothing is left of it; gives the refusal."""
    with pytest.raises((EngineError, UsageError)) as caught:
        resolve(spec)
    assert left(cache) == []
    assert caught.value.remedy
    return caught.value


# -- good


def test_bundle_is_downloaded_once_and_kept_under_its_version(mirror: Server, cache: Path) -> None:
    first = resolve("version:28.5.2")
    mirror.close()
    second = resolve("version:28.5.2")

    assert first == second == Installation("version:28.5.2", None, cache / f"version-28.5.2-{sha256(bundle())[:8]}")
    assert mirror.asked == [f"/linux/{os.uname().machine}/{NAME}"]
    (entry,) = cached()
    assert entry.manifest.digest == sha256(bundle())
    assert left(cache) == [entry.name]
    assert not (entry.path / ".download").exists()


def test_adding_asks_again_and_keeps_what_is_new_beside(mirror: Server, cache: Path, sums: Path) -> None:
    first = add("version:28.5.2")
    again = add("version:28.5.2")
    rebuilt = archive(*members(), member("docker/LICENSE"))
    put(mirror, rebuilt)
    sums.write_text(f"{sha256(rebuilt)}  {NAME}\n")

    second = add("version:28.5.2")

    assert first.path == again.path != second.path
    assert left(cache) == sorted([first.name, second.name])
    assert resolve("version:28.5.2").programs == second.path


def test_bytes_are_told(mirror: Server, cache: Path) -> None:
    told: list[Step] = []

    add("version:28.5.2", progress=told.append)

    size = len(bundle())
    assert told[0].text == "version:28.5.2: downloading"
    assert (told[0].done, told[0].total) == (size, size)
    assert told[-1] == Step("version:28.5.2: unpacking")


def test_redirect_is_followed(mirror: Server, cache: Path) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", "/elsewhere.tgz")
        request.end_headers()

    put(mirror, redirect)
    mirror.answers["/elsewhere.tgz"] = bundle()

    assert resolve("version:28.5.2").programs is not None


def test_answer_in_chunks_is_taken(mirror: Server, cache: Path) -> None:
    def chunks(request: BaseHTTPRequestHandler) -> None:
        request.protocol_version = "HTTP/1.1"
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.write(f"{len(bundle()):x}\r\n".encode() + bundle() + b"\r\n0\r\n\r\n")

    put(mirror, chunks)

    assert resolve("version:28.5.2").programs is not None


def test_two_at_once_download_once(mirror: Server, cache: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = set(pool.map(lambda _: resolve("version:28.5.2").programs, range(3)))

    assert len(found) == 1
    assert len(mirror.asked) == 1


def test_distribution_s_suffix_is_the_same_version(mirror: Server, cache: Path, sums: Path) -> None:
    rebuilt = bundle("28.5.2+dfsg4")
    put(mirror, rebuilt)
    sums.write_text(f"{sha256(rebuilt)}  {NAME}\n")

    assert add("version:28.5.2").manifest.version == "28.5.2+dfsg4"


# -- checksums


@pytest.mark.parametrize(
    "line",
    [
        "{digest}  {name}",
        "{digest} *{name}",
        "{DIGEST}  {name}",
        "{digest}  ./{name}",
        "{digest}  linux/{arch}/{name}",
        "{digest}  linux/{arch}/{name}\r",
        "# comment\n\n{wrong}  linux/other/{name}\n{digest}  linux/{arch}/{name}",
        "{wrong}  {name}\n{digest}  {arch}/{name}",
        "{digest}  {name}\n{digest}  {name}",
    ],
)
def test_line_of_sha256sum_is_read(mirror: Server, cache: Path, sums: Path, line: str) -> None:
    digest = sha256(bundle())
    arch = os.uname().machine
    sums.write_text(line.format(digest=digest, DIGEST=digest.upper(), name=NAME, arch=arch, wrong="0" * 64) + "\n")

    assert resolve("version:28.5.2").programs is not None


@pytest.mark.parametrize(
    "text",
    ["", "{digest}  other.tgz\n", "{digest}\n", "{digest}  x{name}\n", "{short}  {name}\n", "\\{digest}  {name}"],
)
def test_bundle_that_is_not_listed_is_not_even_asked_for(mirror: Server, cache: Path, sums: Path, text: str) -> None:
    digest = sha256(bundle())
    sums.write_text(text.format(digest=digest, short=digest[:-1], name=NAME))

    error = refused(cache)

    assert error.attempted == "the bundle is not listed in the checksums"
    assert error.where == str(sums)
    assert NAME in error.returned
    assert mirror.asked == []


def test_checksums_that_contradict_each_other_are_refused(mirror: Server, cache: Path, sums: Path) -> None:
    sums.write_text(f"{sha256(bundle())}  {NAME}\n{'0' * 64}  {NAME}\n")

    assert refused(cache).attempted == "the checksums contradict each other"


def test_bundle_that_differs_from_its_checksum_is_refused(mirror: Server, cache: Path) -> None:
    put(mirror, bundle("28.5.3"))

    error = refused(cache)

    assert error.attempted == "the bundle is not the one that the checksums speak of"
    assert error.returned == f"SHA-256 {sha256(bundle('28.5.3'))}\nexpected {sha256(bundle())}"


def test_checksums_that_are_not_there_are_refused_by_their_path(mirror: Server, cache: Path, sums: Path) -> None:
    sums.unlink()

    error = refused(cache)

    assert (error.attempted, error.where) == ("could not read the checksums", str(sums))


# -- what comes instead


def _page(request: BaseHTTPRequestHandler) -> None:
    send(request, b"<!DOCTYPE html><html><title>Sign in</title></html>", kind="text/html; charset=utf-8")


def _truncated(request: BaseHTTPRequestHandler) -> None:
    send(request, bundle()[:500], length=len(bundle()))


def _cut(request: BaseHTTPRequestHandler) -> None:
    send(request, bundle()[:500], length=len(bundle()))
    request.wfile.flush()
    # With this a close is a reset and no end.
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.connection.close()


def _cut_chunks(request: BaseHTTPRequestHandler) -> None:
    request.protocol_version = "HTTP/1.1"
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(f"{len(bundle()):x}\r\n".encode() + bundle()[:500])


def _nothing(request: BaseHTTPRequestHandler) -> None:
    send(request, b"")


def _huge(request: BaseHTTPRequestHandler) -> None:
    send(request, b"\x1f\x8b", length=1 << 40)


def _garbage(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def _error(request: BaseHTTPRequestHandler) -> None:
    request.send_error(503)


def _loop(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", request.path)
    request.end_headers()


def _to_a_file(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", "file:///etc/passwd")
    request.end_headers()


def _to_ftp(request: BaseHTTPRequestHandler) -> None:
    request.send_response(302)
    request.send_header("Location", "ftp://127.0.0.1/x.tgz")
    request.end_headers()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "404 Not Found"),
        (_error, "503 Service Unavailable"),
        (_page, "a web page came instead of an archive"),
        (b"PK\x03\x04", "no gzip archive"),
        (_truncated, f"after 500 of {len(bundle())} bytes"),
        (_cut, ""),
        (_cut_chunks, "ended in the middle"),
        (_nothing, "ended after 0 of 0 bytes"),
        (_huge, "it announces 1048576 MiB"),
        (_garbage, "BadStatusLine"),
        (_loop, ""),
        (_to_a_file, "'file:///etc/passwd' is not allowed"),
        (_to_ftp, "it redirects from http to ftp://127.0.0.1/x.tgz"),
    ],
)
def test_download_that_goes_wrong_is_refused_with_what_came(
    mirror: Server, cache: Path, answer: object, said: str
) -> None:
    put(mirror, answer)

    error = refused(cache)

    assert isinstance(error, EngineError)
    assert error.attempted == "could not download"
    assert error.where.endswith(NAME)
    assert said in error.returned
    assert error.returned
    assert "NETFACTS_ENGINE_URL" in error.remedy


def test_server_that_is_not_there_is_named(mirror: Server, cache: Path) -> None:
    mirror.close()

    error = refused(cache)

    assert "Connection refused" in error.returned


def test_silence_has_an_end(mirror: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SILENCE_S", 0.2)
    done = threading.Event()

    def silent(request: BaseHTTPRequestHandler) -> None:
        send(request, bundle()[:500], length=len(bundle()))
        done.wait(20)

    put(mirror, silent)
    error = refused(cache)
    done.set()

    assert "nothing came for" in error.returned


def test_trickle_has_an_end(mirror: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_DEADLINE_S", 0.0)

    assert "too slow" in refused(cache).returned


def test_download_without_end_has_one(mirror: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_MOST_BYTES", 600)

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        with contextlib.suppress(OSError):
            request.wfile.write(bundle())

    put(mirror, endless)

    assert "does not end after" in refused(cache).returned


def test_bundle_of_another_version_is_refused(mirror: Server, cache: Path, sums: Path) -> None:
    other = bundle("28.5.1")
    put(mirror, other)
    sums.write_text(f"{sha256(other)}  {NAME}\n")

    error = refused(cache)

    assert error.attempted == "the bundle is not that of engine 28.5.2"
    assert error.returned == "its dockerd says that it is 28.5.1"


def test_unsafe_bundle_is_refused_like_any_other(mirror: Server, cache: Path, sums: Path) -> None:
    evil = archive(*members(), member("../evil"))
    put(mirror, evil)
    sums.write_text(f"{sha256(evil)}  {NAME}\n")

    assert "leads out of the folder" in refused(cache).returned


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_interrupted_download_leaves_nothing_that_the_next_does_not_sweep(
    mirror: Server, cache: Path, number: signal.Signals
) -> None:
    go = threading.Event()

    def slow(request: BaseHTTPRequestHandler) -> None:
        send(request, bundle()[:500], length=len(bundle()))
        request.wfile.flush()
        go.wait(20)

    put(mirror, slow)
    code = "from netfacts.engine.source import add; add('version:28.5.2')"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    until(lambda: list(cache.glob("netfacts-*/.download")), what="a download under way", timeout_s=20)
    process.send_signal(number)
    process.wait(20)
    go.set()

    assert len(left(cache)) == (1 if number == signal.SIGKILL else 0)
    put(mirror, bundle())
    entry = add("version:28.5.2")
    assert left(cache) == [entry.name]


# -- configuration


def test_version_without_an_address_is_refused_with_what_to_set(cache: Path) -> None:
    error = refused(cache)

    assert isinstance(error, UsageError)
    assert "NETFACTS_ENGINE_URL is not set" in error.returned
    assert "{version}" in error.remedy
    assert "https://docs.docker.com/engine/install/binaries/" in error.remedy


def test_plain_http_without_checksums_is_refused(mirror: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETFACTS_ENGINE_CHECKSUMS")

    error = refused(cache)

    assert isinstance(error, UsageError)
    assert "plain http" in error.attempted
    assert "NETFACTS_ENGINE_CHECKSUMS" in error.remedy
    assert mirror.asked == []


def test_checksums_over_plain_http_are_refused(mirror: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFACTS_ENGINE_CHECKSUMS", f"{mirror.url}/sums")

    assert "prove nothing" in refused(cache).attempted
    assert mirror.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.test/docker.tgz",
        "ftp://example.test/{version}",
        "file:///srv/{version}.tgz",
        "/srv/docker-{version}.tgz",
        "https://example.test/{version}/{flavour}.tgz",
        "https:///{version}",
        "https://example.test:port/{version}",
        "https://example.test/a b/{version}",
        "https://[::1/{version}",
    ],
)
def test_address_that_can_not_be_meant_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("NETFACTS_ENGINE_URL", url)

    error = refused(cache)

    assert isinstance(error, UsageError)
    assert error.attempted.startswith("NETFACTS_ENGINE_URL ")


def test_password_in_an_address_is_refused_and_not_shown(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFACTS_ENGINE_URL", "https://me:secret@example.test/{version}")

    assert "secret" not in str(refused(cache))


def test_no_address_stands_in_the_code() -> None:
    text = "".join(path.read_text() for path in (ROOT / "netfacts").rglob("*.py"))

    assert "download.docker.com" not in text


@pytest.mark.parametrize(("machine", "called"), [("x86_64", "x86_64"), ("aarch64", "aarch64"), ("armv7l", "armhf")])
def test_machine_is_called_as_docker_calls_it(monkeypatch: pytest.MonkeyPatch, machine: str, called: str) -> None:
    monkeypatch.setenv("NETFACTS_ENGINE_URL", "https://example.test/{arch}/docker-{version}.tgz")
    monkeypatch.setattr(download.platform, "machine", lambda: machine)

    assert download.address_of("28.5.2").url == f"https://example.test/{called}/docker-28.5.2.tgz"
