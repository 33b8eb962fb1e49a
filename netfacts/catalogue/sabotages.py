"""The sabotages of the suites as they are written there: read from the source, so that nothing has to be imported."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from netfacts.catalogue.load import FACTS
from netfacts.model.errors import UsageError

SUITES = FACTS.parent / "suites"

# How each kind is called in `fixtures/sabotage.py`, and how it makes a title of what it is given after the fact.
_TITLES: dict[str, Callable[[list[str]], str]] = {
    "strike": lambda texts: texts[0],
    "tamper": lambda texts: texts[0],
    "flags": lambda texts: f"dockerd {' '.join(texts)}",
}


class Sabotage(msgspec.Struct, frozen=True):
    """How netfacts breaks an engine or a lab so that a fact's check must notice; `engines` is "" for all of them."""

    fact: str
    title: str
    engines: str


def read_sabotages(folder: Path = SUITES, *, of: str = "") -> dict[str, list[Sabotage]]:
    """Read the sabotages of all facts or of one, by fact.

    Raises: UsageError for a file that is no Python, and for a sabotage whose texts are not written out.
    """
    found: dict[str, list[Sabotage]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        try:
            text = path.read_text("utf-8")
            # Parsing takes most of the time, and one fact is in one file.
            calls = list(_calls(ast.parse(text))) if not of or f'"{of}"' in text else []
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            raise UsageError("could not read the sabotages of a suite", where=str(path), returned=str(error)) from None
        for kind, call in calls:
            one = _sabotage(kind, call, path)
            if of in ("", one.fact):
                found.setdefault(one.fact, []).append(one)
    return found


def _calls(module: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    for statement in module.body:
        match statement:
            case ast.FunctionDef(decorator_list=nodes):
                # The lowest decorator is carried out first.
                nodes = nodes[::-1]
            case ast.Expr(value=node):
                nodes = [node]
            case _:
                continue
        for node in nodes:
            match node:
                case ast.Call(func=ast.Name(id=name)) if name in _TITLES:
                    yield name, node


def _sabotage(kind: str, call: ast.Call, path: Path) -> Sabotage:
    texts = [_text(node, path) for node in call.args]
    options = {word.arg: _text(word.value, path) for word in call.keywords}
    return Sabotage(texts[0], _TITLES[kind](texts[1:]), options.get("engines", ""))


def _text(node: ast.expr, path: Path) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise UsageError(
        "a sabotage's fact, title and engines have to be written out",
        where=f"{path}, line {node.lineno}",
        returned=ast.unparse(node),
    )
