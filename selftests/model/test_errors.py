"""Errors say what was attempted, where, what came back and what to do next, on either side of a process border."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.lab.agent import Refusal
from netfacts.model.errors import (
    EngineError,
    Inconclusive,
    LabError,
    NetfactsError,
    ProbeError,
    UsageError,
)

KINDS = [NetfactsError, UsageError, LabError, EngineError, ProbeError, Inconclusive]


def fields(error: NetfactsError) -> tuple[str, str, str, str]:
    return error.attempted, error.where, error.returned, error.remedy


def test_error_names_all_that_it_knows() -> None:
    error = LabError("could not plug eth0 in", where="host", returned="EPERM\nno right\n", remedy="run as root")

    assert str(error) == "could not plug eth0 in (on host)\n  EPERM\n  no right\n  → run as root"


def test_error_is_one_line_when_nothing_else_is_known() -> None:
    assert str(ProbeError("could not ask")) == "could not ask"


@pytest.mark.parametrize("kind", KINDS)
def test_no_error_is_an_assertion_error(kind: type[NetfactsError]) -> None:
    """Only a deviating fact fails a check."""
    assert not issubclass(kind, AssertionError)


@pytest.mark.parametrize(
    ("kind", "code"),
    [(UsageError, 4), (LabError, 3), (EngineError, 3), (ProbeError, 3), (Inconclusive, 3), (NetfactsError, 3)],
)
def test_error_has_the_exit_code_of_its_kind(kind: type[NetfactsError], code: int) -> None:
    assert kind("x").exit_code == code


@given(st.sampled_from(KINDS), st.text(), st.text(), st.text(), st.text())
def test_pickled_error_keeps_its_fields(
    kind: type[NetfactsError], attempted: str, where: str, returned: str, remedy: str
) -> None:
    error = kind(attempted, where=where, returned=returned, remedy=remedy)

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(twin) is kind
        assert fields(twin) == fields(error)
        assert str(twin) == str(error)


def test_pickled_refusal_keeps_its_kind_and_errno() -> None:
    refusal = Refusal("Address already in use", "host", "failed", 98)

    twin = pickle.loads(pickle.dumps(refusal))

    assert (twin.kind, twin.errno) == ("failed", 98)
    assert fields(twin) == fields(refusal)
