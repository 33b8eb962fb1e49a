"""What a process takes of the memory is read from the kernel's own sum."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfacts.observe.process import parse_pss

_ROLLUP = """\
5581f5c1e000-7ffd7c1f2000 ---p 00000000 00:00 0                          [rollup]
Rss:                1234 kB
Pss:                 567 kB
Pss_Dirty:            99 kB
"""


@pytest.mark.parametrize(("rollup", "kib"), [(_ROLLUP, 567), ("", 0), (None, 0)], ids=["lives", "kernel's", "ended"])
def test_memory_is_the_share_of_it_that_is_a_process_s_own(rollup: str | None, kib: int) -> None:
    assert parse_pss(rollup) == kib


def test_own_memory_is_found() -> None:
    assert parse_pss(Path("/proc/self/smaps_rollup").read_text()) > 1000
