"""Fetches Docker's static bundle from where the user says, and believes nothing that it gets."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import platform
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from netfacts import __version__
from netfacts.engine.progress import Progress, Step
from netfacts.model.errors import EngineError, UsageError

_URL = "NETFACTS_ENGINE_URL"
_CHECKSUMS = "NETFACTS_ENGINE_CHECKSUMS"
_DOCUMENT = "https://docs.docker.com/engine/install/binaries/"
# Docker's names for machines, where they differ from the kernel's.
_ARCHITECTURES = {"armv7l": "armhf", "armv6l": "armel"}

_SILENCE_S = 30.0
_DEADLINE_S = 1800.0
_TOLD_EVERY_S = 0.1
_CHUNK = 1 << 18
_MOST_BYTES = 1 << 29
_MOST_CHECKSUM_BYTES = 1 << 20
_MOST_REDIRECTS = 5
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](\S.*)")


@dataclass(frozen=True)
class Address:
    """Where a bundle is to be had, and the checksums (a path or an address, "" for none) that vouch for it."""

    url: str
    checksums: str


def address_of(version: str) -> Address:
    """Give where the user says that the bundle of an engine version is.

    Raises: UsageError where the user does not say, or names what can't be trusted.
    """
    template, checksums = os.environ.get(_URL, ""), os.environ.get(_CHECKSUMS, "")
    if not template:
        raise UsageError(
            f"the static bundle of engine {version} has no address",
            returned=f"{_URL} is not set, and netfacts has no address of its own",
            remedy=f"set {_URL} to the bundles' address, with {{version}} and {{arch}} in it: {_DOCUMENT} names it",
        )
    if "{version}" not in template:
        raise UsageError(f"{_URL} has no {{version}} in it", returned=template, remedy=f"see {_DOCUMENT}")
    machine = platform.machine()
    url = template.replace("{version}", version).replace("{arch}", _ARCHITECTURES.get(machine, machine))
    parts = _parts(url, _URL)
    if parts.scheme == "http" and not checksums:
        raise UsageError(
            "a bundle that comes over plain http proves nothing of where it is from",
            where=url,
            remedy=f"use https, or set {_CHECKSUMS} to a file of sha256sum's with the bundle in it",
        )
    if "://" in checksums and _parts(checksums, _CHECKSUMS).scheme != "https":
        raise UsageError(
            "checksums that come over plain http prove nothing",
            where=checksums,
            remedy=f"set {_CHECKSUMS} to a file on this machine, or to an address with https",
        )
    return Address(url, checksums)


def _parts(url: str, variable: str) -> Any:
    """Take an address apart.

    Raises: UsageError where it is none of http or https.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UsageError(f"{variable} is no address", returned=f"{url!r}: {error}", remedy=f"see {_DOCUMENT}") from None
    if "@" in parts.netloc:
        # Not shown: it may hold a password.
        raise UsageError(f"{variable} holds a user's name, which netfacts does not send", remedy="leave it out")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or re.search(r"[\s{}]", url):
        raise UsageError(f"{variable} is no address of http or https", returned=repr(url), remedy=f"see {_DOCUMENT}")
    return parts


def fetch(address: Address, target: Path, *, label: str, progress: Progress) -> None:
    """Write a bundle to a file, and see that it is the one that the checksums speak of.

    Raises: EngineError where it can't be had or is another; UsageError where the checksums can't be read.
    """
    # Before the bundle: without them it would be in vain.
    expected = _checksum(address) if address.checksums else ""

    def tell(done: int, total: int) -> None:
        progress(Step(f"{label}: downloading", done, total))

    with target.open("wb") as out:
        digest = _get(address.url, out, most_bytes=_MOST_BYTES, archive=True, tell=tell)
    if expected and digest != expected:
        raise EngineError(
            "the bundle is not the one that the checksums speak of",
            where=address.url,
            returned=f"SHA-256 {digest}\nexpected {expected}",
            remedy="do not use it; look whether the mirror or the file of checksums is at fault",
        )


# -- checksums


def _checksum(address: Address) -> str:
    """Give the SHA-256 that a bundle must have.

    Raises: UsageError, EngineError.
    """
    text = _checksums(address.checksums)
    parts = urlsplit(address.url).path.strip("/").split("/")
    # A file for several machines names one bundle more than once, in folders: the longest match is meant.
    found: dict[int, set[str]] = {}
    for line in text.splitlines():
        if match := _LINE.fullmatch(line.strip()):
            named = [part for part in match[2].split("/") if part not in ("", ".")]
            if named and parts[-len(named) :] == named:
                found.setdefault(len(named), set()).add(match[1].lower())
    digests = found[max(found)] if found else set()
    if len(digests) != 1:
        raise EngineError(
            "the bundle is not listed in the checksums" if not digests else "the checksums contradict each other",
            where=address.checksums,
            returned=f"{parts[-1]}: {', '.join(sorted(digests)) or 'no line of sha256sum with this name'}",
            remedy=f"add its line, or correct {_CHECKSUMS}",
        )
    return digests.pop()


def _checksums(place: str) -> str:
    if "://" in place:
        from io import BytesIO

        buffer = BytesIO()
        _get(place, buffer, most_bytes=_MOST_CHECKSUM_BYTES, archive=False, tell=lambda _done, _total: None)
        return buffer.getvalue().decode(errors="replace")
    try:
        with Path(place).open("rb") as file:
            return file.read(_MOST_CHECKSUM_BYTES).decode(errors="replace")
    except OSError as error:
        raise UsageError(
            "could not read the checksums",
            where=place,
            returned=error.strerror or str(error),
            remedy=f"see {_CHECKSUMS}",
        ) from None


# -- the transfer


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows a few redirects, and none that leaves https behind."""

    max_redirections = _MOST_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and scheme != req.type:
            raise urllib.error.URLError(f"it redirects from {req.type} to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _get(url: str, out: IO[bytes], *, most_bytes: int, archive: bool, tell: Callable[[int, int], None]) -> str:
    """Write what is at an address, and give its SHA-256.

    Raises: EngineError.
    """
    request = urllib.request.Request(url, headers={"User-Agent": f"netfacts/{__version__}"})  # noqa: S310  (see _parts)
    deadline = time.monotonic() + _DEADLINE_S
    digest, done, told = hashlib.sha256(), 0, 0.0
    with _explained(url), urllib.request.build_opener(_Redirects).open(request, timeout=_SILENCE_S) as response:
        announced = response.headers.get("Content-Length", "")
        total = int(announced) if announced.isdecimal() else 0
        if total > most_bytes:
            raise _trouble(url, f"it announces {total >> 20} MiB; {most_bytes >> 20} MiB are the most")
        while chunk := response.read(_CHUNK):
            if archive and not done and not chunk.startswith(b"\x1f\x8b"):
                raise _trouble(url, _no_archive(chunk, response.headers.get_content_type()))
            digest.update(chunk)
            done += len(chunk)
            if done > most_bytes:
                raise _trouble(url, f"it does not end after {most_bytes >> 20} MiB")
            if time.monotonic() > deadline:
                raise _trouble(url, f"{done} bytes after {_DEADLINE_S:.0f} s: too slow")
            out.write(chunk)
            if time.monotonic() - told > _TOLD_EVERY_S or done == total:
                told = time.monotonic()
                tell(done, total)
        if done < total or not done:
            raise _trouble(url, f"the connection ended after {done} of {total} bytes")
    return digest.hexdigest()


@contextlib.contextmanager
def _explained(url: str) -> Iterator[None]:
    """Turn what can go wrong in a transfer into an error for the user."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise _trouble(url, f"the server said {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise _trouble(url, str(error.reason)) from None
    except http.client.IncompleteRead as error:
        raise _trouble(url, f"the connection ended in the middle ({error})") from None
    except TimeoutError:
        raise _trouble(url, f"nothing came for {_SILENCE_S:.0f} s") from None
    except (OSError, http.client.HTTPException) as error:
        raise _trouble(url, f"{type(error).__name__}: {error}") from None


def _no_archive(chunk: bytes, kind: str) -> str:
    if kind == "text/html" or chunk.lstrip()[:1] == b"<":
        return "a web page came instead of an archive"
    return f"what came is no gzip archive ({kind}, begins with {chunk[:8]!r})"


def _trouble(url: str, returned: str) -> EngineError:
    return EngineError(
        "could not download",
        where=url,
        returned=returned,
        remedy=f"is there such a version, and is {_URL} right? a bundle that is at hand: `--engine static:PATH`",
    )
