"""The state of an engine's machine as a check left it: firewall, links, routes, DNS, connections, the engine's log.

For a reader, never to be judged: in the words of the tools, and where something can't be had a line says why.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from netfacts.engine import Engine
from netfacts.lab.agent import Reply
from netfacts.lab.visited import VisitedMachine
from netfacts.model.errors import NetfactsError
from netfacts.model.verdict import Evidence

_LINES = 300
_LOG_LINES = 60
_RUN_S = 4.0
_CONNECTIONS = "/proc/net/nf_conntrack"
_RESOLV_CONF = "/etc/resolv.conf"


@dataclass(frozen=True)
class _Source:
    """Where a part of a piece comes from: the first of several requests that was answered with a text.

    `heading` stands above it where a piece has several parts.
    """

    replies: Sequence[Reply]
    heading: str = ""

    def text(self, deadline: float) -> str:
        words = []
        for reply in self.replies:
            try:
                return _said(reply.result(max(0.0, deadline - time.monotonic())))
            except (NetfactsError, FutureTimeout, ValueError) as error:
                words.append(_words(error))
        return f"can't be had: {words[0]}"


@dataclass(frozen=True)
class Piece:
    """A piece of the state that was asked for."""

    title: str
    sources: Sequence[_Source]
    lines: int = _LINES
    last: bool = False
    """Where there are more lines than are kept, the last ones matter and not the first."""

    def settle(self, deadline: float) -> Evidence:
        """Wait for it, by the clock `time.monotonic`, and give it; this raises nothing."""
        parts = [(source.heading, self._bounded(source.text(deadline).strip("\n"))) for source in self.sources]
        text = "\n\n".join(f"# {heading}\n{part}" if heading else part for heading, part in parts)
        return Evidence(title=self.title, text=text or "(empty)")

    def _bounded(self, text: str) -> str:
        lines = text.splitlines()
        if len(lines) <= self.lines:
            return text
        note = f"… {len(lines) - self.lines} lines more"
        return "\n".join([note, *lines[-self.lines :]] if self.last else [*lines[: self.lines], note])


def ask(engine: Engine, containers: Mapping[str, int]) -> list[Piece]:
    """Ask for the state of an engine's machine; nobody waits yet. `containers` maps names to their first processes."""
    machine = engine.machine
    on = f"on {machine.name}"
    if not machine.agent.alive:
        lost: Reply = Reply()
        lost.set_exception(ValueError("the machine is lost"))
        return [Piece(f"state {on}", [_Source([lost])])]
    return [
        *(
            Piece(f"{tool} -c {on}", [_Source(_by_engine(engine, tool, "-c"))])
            for tool in ("iptables-save", "ip6tables-save")
        ),
        *(
            [Piece(f"nft list ruleset {on}", [_Source(_by_engine(engine, "nft", "list", "ruleset"))])]
            if any("nftables" in flag for flag in engine.flags)
            else []
        ),
        Piece(f"links {on}", [_ip(engine, "-br", "address"), _ip(engine, "-br", "link")]),
        Piece(f"routes {on}", [_ip(engine, "-4", "route"), _ip(engine, "-6", "route")]),
        Piece(f"DNS configuration {on}", _resolv_confs(engine, containers)),
        *([] if isinstance(machine, VisitedMachine) else [_connections(engine)]),
        Piece(f"end of the engine's log {on}", [_Source([_file(engine, engine.log)])], lines=_LOG_LINES, last=True),
    ]


def _by_engine(engine: Engine, *argv: str) -> list[Reply]:
    """Have a program run where the engine is, and where its machine is in case that the engine is no more."""
    own = {"PATH": engine.installation.path, "LC_ALL": "C"}
    return [_run(engine, argv, mnt=f"/proc/{engine.pid}/ns/mnt", env=own), _run(engine, argv)]


def _run(engine: Engine, argv: Sequence[str], **where: Any) -> Reply:
    return engine.machine.agent.submit("exec", argv=list(argv), timeout_s=_RUN_S, **where)


def _ip(engine: Engine, *argv: str) -> _Source:
    return _Source([_run(engine, ("ip", *argv))], heading=f"ip {' '.join(argv)}")


def _file(engine: Engine, path: str, root: str = "") -> Reply:
    return engine.machine.agent.submit("files", paths=[path], root=root)


def _resolv_confs(engine: Engine, containers: Mapping[str, int]) -> list[_Source]:
    roots = {engine.machine.name: "", **{name: f"/proc/{pid}/root" for name, pid in containers.items() if pid}}
    return [
        _Source([_file(engine, _RESOLV_CONF, root)], heading=f"{_RESOLV_CONF} of {name}")
        for name, root in roots.items()
    ]


def _connections(engine: Engine) -> Piece:
    title = f"connections that the kernel tracks on {engine.machine.name}"
    # Not every kernel has the file, and not every machine the tool.
    replies = [_file(engine, _CONNECTIONS), *_by_engine(engine, "conntrack", "-L")]
    return Piece(title, [_Source(replies)], last=True)


def _said(answer: Any) -> str:
    """Give the text in an agent's answer.

    Raises: ValueError where it holds none but the reason why.
    """
    if isinstance(answer, list):
        (file,) = answer
        if "text" not in file:
            raise ValueError(file.get("error", "no such file"))
        return str(file["text"])
    if answer["exit"] != 0:
        raise ValueError(answer["err"].strip() or f"exit status {answer['exit']}")
    return str(answer["out"])


def _words(error: Exception) -> str:
    if isinstance(error, FutureTimeout):
        return "no answer in time"
    said = error.returned if isinstance(error, NetfactsError) and error.returned else str(error)
    return (said.splitlines() or [type(error).__name__])[-1]
