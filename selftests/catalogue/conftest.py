"""Catalogues of one file, made from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

ENTRY = """\
[dns.scope]
claim   = "A name resolves only where a network is shared."
sources = ["notes/1.txt:62"]
lab     = "one-host"
show    = ["docker run --rm busybox nslookup box"]
expect  = [{ engine = ">=20.10", outcome = "holds" }]
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files into a folder of facts, by default one good entry in dns.toml, and gives the folder."""

    def write(text: str | bytes = ENTRY, name: str = "dns.toml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write
