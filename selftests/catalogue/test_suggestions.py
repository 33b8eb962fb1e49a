"""An unknown fact is refused with those that may have been meant."""

from __future__ import annotations

import pytest

from netfacts.catalogue import load
from netfacts.model.errors import UsageError
from selftests.catalogue.conftest import ENTRY, Write

NAMES = ["dns.scope", "dns.user-net-names", "dns.not-default-bridge", "publish.dnat-rule", "publish.udp"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("dns.scop", "there is no fact 'dns.scop'\n  → did you mean dns.scope?"),
        ("dsn.scope", "there is no fact 'dsn.scope'\n  → did you mean dns.scope?"),
        ("scope", "there is no fact 'scope'\n  → did you mean dns.scope?"),
        ("publish.dnat", "there is no fact 'publish.dnat'\n  → did you mean publish.dnat-rule, publish.udp?"),
        (
            "dns.not_default_bridge",
            "there is no fact 'dns.not_default_bridge'\n  → did you mean dns.not-default-bridge?",
        ),
        ("x", "there is no fact 'x'\n  → `netfacts facts list` prints all of them"),
        ("", "there is no fact ''\n  → `netfacts facts list` prints all of them"),
    ],
)
def test_unknown_fact_is_refused_with_the_nearest(write: Write, asked: str, expected: str) -> None:
    catalogue = load(write("\n".join(ENTRY.replace("dns.scope", name) for name in NAMES)))

    with pytest.raises(UsageError) as caught:
        catalogue[asked]

    assert str(caught.value) == expected
    assert asked not in catalogue
