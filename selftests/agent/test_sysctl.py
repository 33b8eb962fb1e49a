"""Kernel parameters as the agent reads them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from netfacts.agent import sysctl


def test_parameters_of_a_link_that_goes_meanwhile_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("all", "gone", "lo"):
        (tmp_path / "net" / "conf" / name).mkdir(parents=True)
        (tmp_path / "net" / "conf" / name / "forwarding").write_text("1\n")
    monkeypatch.setattr(sysctl, "_ROOT", tmp_path)
    scan = os.scandir

    def raced(path: Any) -> Any:
        if str(path).endswith("gone"):
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", raced)

    found = asyncio.run(sysctl.get_below({"folder": "net"}))

    assert found == {"net.conf.all.forwarding": "1", "net.conf.lo.forwarding": "1"}
