"""Titles name interfaces of machines as they are: on somebody's machine none need be eth0."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SUITES = Path(__file__).parents[2] / "suites"
_ON = re.compile(r"(-i|\bon) eth\d")


def _asks(function: ast.AST) -> bool:
    """Whether a function asks a machine what an interface of it is called."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "interface"
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr == "machine"
        for node in ast.walk(function)
    )


def _typed(source: str) -> Iterator[str]:
    """The texts that say, in functions that ask a machine for it, on which interface; docstrings are no texts."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and _asks(function):
            for statement in function.body[ast.get_docstring(function) is not None :]:
                for node in ast.walk(statement):
                    if isinstance(node, ast.Constant) and _ON.search(str(node.value)):
                        yield f"{function.name}, line {node.lineno}: {node.value}"


@pytest.mark.parametrize("path", sorted(SUITES.glob("*/test_*.py")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_check_that_asks_for_the_name_of_an_interface_types_none(path: Path) -> None:
    assert list(_typed(path.read_text())) == []


def test_typed_name_is_found() -> None:
    source = """
def check(client):
    '''Capture on eth0.'''
    nic = client.machine.interface()
    claim.show(f"tcpdump -i eth0 on {client}", nic)

def other(box):
    capture(box.vantage, "eth0")
"""

    assert list(_typed(source)) == ["check, line 5: tcpdump -i eth0 on "]
