"""Captures are files as tcpdump writes them: read here as their format is documented, whatever the frames are."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from netfacts.observe.pcap import pcap
from netfacts.observe.tap import Frame

FRAMES = st.builds(
    lambda at, data, more: Frame(at, "host", "eth0", "in", len(data) + more, data),
    st.floats(0, 2**32 - 2),
    st.binary(max_size=270),
    st.integers(0, 70000),
)


@given(st.lists(FRAMES, max_size=5))
def test_file_has_every_frame_as_it_was(frames: list[Frame]) -> None:
    data = pcap(frames)

    magic, major, minor, zone, accuracy, snap, link = struct.unpack("<IHHiIII", data[:24])
    assert (magic, major, minor, zone, accuracy, link) == (0xA1B2C3D4, 2, 4, 0, 0, 1)
    place = 24
    for frame in frames:
        seconds, microseconds, kept, length = struct.unpack("<IIII", data[place : place + 16])
        assert microseconds < 1_000_000
        assert abs(seconds + microseconds / 1_000_000 - frame.at) < 0.00001
        assert kept <= min(length, snap)
        assert (length, data[place + 16 : place + 16 + kept]) == (frame.length, frame.data)
        place += 16 + kept
    assert place == len(data)
