"""Kernel parameters of the namespaces that the caller is in."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

_ROOT = Path("/proc/sys")


def _path(name: str) -> Path:
    return _ROOT / name.replace(".", "/")


def write(values: dict[str, str]) -> list[str]:
    """Set parameters by name; gives the names that this kernel lacks.

    Raises: OSError where the kernel refuses a value.
    """
    missing = [name for name in values if not _path(name).exists()]
    for name, value in values.items():
        if name not in missing:
            _path(name).write_text(value)
    return missing


async def set_all(args: dict[str, Any]) -> list[str]:
    """Set `values` (name → value); gives the names that this kernel lacks."""
    return write(args["values"])


async def get_all(args: dict[str, Any]) -> dict[str, str | None]:
    """Give the values of `names`; None for those that this kernel lacks."""
    return {name: _path(name).read_text().strip() if _path(name).exists() else None for name in args["names"]}


async def get_below(args: dict[str, Any]) -> dict[str, str]:
    """Give all parameters of `folder` ("net") that can be read, by name."""
    found = {}
    # It passes over a link's folder that goes with the link meanwhile.
    for folder, _, files in os.walk(_ROOT / args["folder"]):
        for path in (Path(folder) / name for name in files):
            # Some can only be written, and those of a link go with it, too.
            with contextlib.suppress(OSError, UnicodeDecodeError):
                found[str(path.relative_to(_ROOT)).replace("/", ".")] = path.read_text().strip()
    return dict(sorted(found.items()))
