"""Portraits: what was generated becomes its role, and nothing else does."""

from __future__ import annotations

from netfacts.observe.portrait import _plain

_WORDS = {
    "172.18.0.0/16": "SUBNET(front)",
    "172.18.0.1": "GATEWAY(front)",
    "172.18.0.2": "ADDRESS(web)",
    "br-0a1b2c3d4e5f": "br-front",
    "198.51.100.10": "HOST",
}


def test_names_and_addresses_become_roles() -> None:
    rule = "-A POSTROUTING -s 172.18.0.0/16 ! -o br-0a1b2c3d4e5f -j MASQUERADE"

    assert _plain(rule, _WORDS) == "-A POSTROUTING -s SUBNET(front) ! -o br-front -j MASQUERADE"


def test_an_address_with_a_port_or_a_prefix_length_is_still_that_address() -> None:
    assert _plain("-j DNAT --to-destination 172.18.0.2:8080", _WORDS).endswith("ADDRESS(web):8080")
    assert _plain("-d 172.18.0.2/32", _WORDS) == "-d ADDRESS(web)/32"


def test_a_longer_address_is_not_a_shorter_one_with_something_behind_it() -> None:
    assert _plain("-d 172.18.0.20/32", _WORDS) == "-d 172.18.0.20/32"
    assert _plain("-d 10.172.18.0.2", _WORDS) == "-d 10.172.18.0.2"


def test_a_subnet_is_not_its_gateway() -> None:
    assert _plain("172.18.0.1/16", _WORDS) == "GATEWAY(front)/16"


def test_what_is_generated_without_a_role_is_the_same_each_time() -> None:
    assert _plain("veth0a1b2c3 master br-0a1b2c3d4e5f", _WORDS) == "veth… master br-front"
    assert _plain("veth0 stays", _WORDS) == "veth0 stays"
