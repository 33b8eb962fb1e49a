"""`netfacts doctor`: what is missing on this machine, what that costs in facts, and the command that mends it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from netfacts.catalogue import load
from netfacts.engine import cache, packaged
from netfacts.engine.recipe import NEED
from netfacts.engine.source import cached
from netfacts.engine.stock import PACKAGED, STOCK
from netfacts.lab import kernel
from netfacts.model.errors import EngineError, LabError, UsageError


@dataclass(frozen=True)
class Tool:
    """A program that netfacts uses. `vital` ones no run can do without; without a `package` none is to be installed."""

    name: str
    package: str
    purpose: str
    vital: bool


_TOOLS = (
    Tool("ip", "iproute2", "reads links and routes", True),
    Tool("busybox", "busybox-static", "is the probe image", True),
    Tool("mmdebstrap", "mmdebstrap", "unpacks engines of Debian and Ubuntu, applications, etcd and BIRD", False),
    Tool(
        "iptables", "iptables", "is the firewall of engines without one of their own: `static:` and `version:`", False
    ),
    Tool("dockerd", "", "is the engine of `--engine system`; where it is missing one is unpacked", False),
    Tool("flanneld", "", "lays Flannel's fabrics in the place of netfacts' own emulation", False),
)


@dataclass(frozen=True)
class Result:
    """One examination. `state` is `ok`, `missing` or `lacks` (something that only some facts need)."""

    state: str
    what: str
    means: str = ""
    remedy: str = ""


def doctor() -> int:
    """Say what this machine lacks, what that costs in facts, and the command that mends it."""
    results = list(_examine())
    console = Console()
    for result in results:
        sign, style = {"ok": ("✓", "green"), "missing": ("✗", "bold red"), "lacks": ("–", "yellow")}[result.state]
        line = Text.assemble((f"{sign} ", style), result.what)
        if result.means:
            line.append(f": {result.means}", style="dim" if result.state == "ok" else "")
        console.print(line)
        if result.remedy:
            console.print(Text(f"  → {result.remedy}"))
    return UsageError.exit_code if any(result.state == "missing" for result in results) else 0


def _examine() -> Iterator[Result]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Result("ok", f"Python {version}")
    try:
        kernel.require_linux()
        yield Result("ok", f"Linux {platform.release()}")
    except UsageError as error:
        yield Result("missing", error.attempted, error.returned)
        return
    root = os.geteuid() == 0
    if root:
        yield Result("ok", "root")
    else:
        yield Result("missing", "root", "labs are namespaces, interfaces and mounts", "sudo netfacts doctor")
    yield from map(_tool, _TOOLS)
    if root:
        yield from map(_feature, kernel.FEATURES)
    yield _engines()
    for need in STOCK:
        yield _stock(need, root)


def _engines() -> Result:
    what = f"engines in {cache.engines()}"
    try:
        found = [
            f"{entry.manifest.spec} ({entry.manifest.version})"
            for entry in cached()
            if entry.manifest.spec not in PACKAGED
        ]
    except EngineError as error:
        return Result("lacks", what, error.returned)
    return Result("ok", what, ", ".join(found) or "none yet; the first run unpacks one")


def _stock(need: str, root: bool) -> Result:
    wanted = STOCK[need]
    what = "images of applications" if need == NEED else " and ".join(one.main for one in wanted)
    try:
        remedy = packaged.obstacle(*wanted)
        entries = [(one, packaged.cached(one)) for one in wanted]
    except EngineError as error:
        return Result("lacks", what, error.returned)
    if remedy and root:
        return Result("lacks", what, _cost(need), remedy)
    found = [f"{one.spec} ({entry.manifest.version})" for one, entry in entries if entry]
    return Result("ok", what, ", ".join(found) or "not unpacked yet; that is done when a check first needs it")


def _tool(tool: Tool) -> Result:
    found = shutil.which(tool.name)
    if found:
        return Result("ok", tool.name, found)
    state = "missing" if tool.vital else "lacks"
    remedy = f"apt-get install {tool.package}" if tool.package else ""
    return Result(state, tool.name, f"not found; it {tool.purpose}", remedy)


def _feature(feature: kernel.Feature) -> Result:
    try:
        present = kernel.has(feature.name)
    except LabError as error:
        return Result("missing", f"kernel: {feature.name}", str(error))
    if present:
        return Result("ok", f"kernel: {feature.name}")
    if feature.vital:
        return Result("missing", f"kernel: {feature.name}", "every lab needs it", feature.remedy)
    return Result("lacks", f"kernel: {feature.name}", _cost(feature.name), feature.remedy)


def _cost(need: str) -> str:
    """Say what a missing feature costs."""
    facts = [fact.id for fact in load() if need in fact.needs]
    return f"not exercised without it: {', '.join(facts)}" if facts else "no fact needs it yet"
