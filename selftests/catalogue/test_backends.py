"""Facts about fabrics say that they need what their checks lay, as far as a kernel or a machine may lack it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfacts.catalogue import load
from suites.fabrics import FLANNEL

_ROOT = Path(__file__).parents[2]
_NEEDS = {"host-gw": set[str](), "vxlan": {"vxlan"}, "udp": {"tun"}, "ipip": {"ipip"}, "bgp": {"bird"}}


def _laid(function: ast.FunctionDef, module: object) -> Iterator[str]:
    """The backends that a check lays: those that it names, and all of Flannel's where it is asked with each."""
    if "backend" in {argument.arg for argument in function.args.args}:
        yield from FLANNEL
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "weave":
            for one in [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "beside")]:
                for part in ast.walk(one):
                    if isinstance(part, ast.Constant):
                        yield str(part.value)
                    elif isinstance(part, ast.Name) and part.id != "backend":
                        yield from getattr(module, part.id)


def _fact(function: ast.FunctionDef) -> str:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fact":
            (name,) = decorator.args
            assert isinstance(name, ast.Constant)
            return str(name.value)
    return ""


def _checks() -> Iterator[tuple[str, set[str]]]:
    """Each fact whose check lays fabrics, and the backends that it does."""
    for path in sorted((_ROOT / "suites" / "fabrics").glob("test_*.py")):
        module = importlib.import_module(f"suites.fabrics.{path.stem}")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and _fact(node):
                yield _fact(node), set(_laid(node, module))


_CHECKS = dict(_checks())


@pytest.mark.parametrize("fact", _CHECKS)
def test_fact_needs_what_its_check_lays(fact: str) -> None:
    entry = load()[fact]

    assert _CHECKS[fact] <= _NEEDS.keys()
    assert set(entry.needs) == {"etcd"}.union(*(_NEEDS[name] for name in _CHECKS[fact]))
    assert entry.lab == "fabric"


def test_all_facts_about_fabrics_are_looked_at() -> None:
    facts = load()

    assert _CHECKS.keys() == {fact.id for fact in facts if fact.id.startswith(("flannel.", "calico."))}
    assert all(_CHECKS.values())
