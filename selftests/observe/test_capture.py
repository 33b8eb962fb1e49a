"""What the documentation says of captures."""

from __future__ import annotations

import sys
from pathlib import Path

from netfacts.observe import Capture

_SECURITY = Path(__file__).parents[2] / "docs/security.md"


def test_users_are_told_how_much_of_others_packets_is_taken() -> None:
    module = sys.modules[Capture.__module__]

    assert f"The last {module._LIMIT} packets, {module._SNAP_BYTES} bytes of each" in _SECURITY.read_text()
