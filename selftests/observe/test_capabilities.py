"""What a process may do to the network is read from its status."""

from __future__ import annotations

import pytest

from netfacts.model.errors import ProbeError
from netfacts.observe.process import parse_capabilities

_STATUS = "Name:\tsleep\nCapPrm:\tffffffffffffffff\nCapEff:\t{}\nCapBnd:\tffffffffffffffff\n"


@pytest.mark.parametrize(
    ("mask", "names"),
    [
        ("00000000a80425fb", {"NET_BIND_SERVICE", "NET_RAW"}),
        ("00000000a80435fb", {"NET_BIND_SERVICE", "NET_ADMIN", "NET_RAW"}),
        ("000001ffffffffff", {"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"}),
        ("0000000000000000", set()),
    ],
    ids=["docker's default", "with NET_ADMIN", "privileged", "none"],
)
def test_effective_capabilities_are_named(mask: str, names: set[str]) -> None:
    assert parse_capabilities(_STATUS.format(mask)) == names


def test_status_without_them_is_refused() -> None:
    with pytest.raises(ProbeError, match="no effective capabilities"):
        parse_capabilities("Name:\tsleep\nCapBnd:\t0000000000000000\n")
