"""`netfacts facts coverage` while a claim is open, which none of this catalogue is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from netfacts.catalogue.coverage import load_notes
from netfacts.cli import facts
from netfacts.cli.main import main


def test_open_claim_is_named_and_ends_it_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def with_one_open(*args: Any) -> Any:
        first, *others = load_notes(*args)
        passages = [one for one in first.passages if one.facts]
        opened = msgspec.structs.replace(passages[0], facts=[], open="Not checked yet.")
        return (msgspec.structs.replace(first, passages=[opened, *passages[1:]]), *others)

    monkeypatch.setattr(facts, "load_notes", with_one_open)

    status = main(["facts", "coverage"])

    said = capsys.readouterr().out
    assert status == 1
    assert "\nOpen\n" in said
    assert "Not checked yet." in said
