"""Where the containers of a crowd get their addresses, and how their networks are called. Nothing is built."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

import pytest

from netfacts.model.errors import UsageError
from netfacts.model.lab import MOST_HOSTS, hosts
from netfacts.model.matrix import Kind
from netfacts.topology.crowd import apart, labels, require_subnets


def test_networks_of_one_kind_are_told_apart() -> None:
    kinds = [Kind.USER, Kind.BRIDGE, Kind.USER, Kind.USER]

    assert labels(kinds) == ["user", "bridge", "user-2", "user-3"]


def test_engines_have_subnets_of_their_own() -> None:
    spec = apart(hosts(MOST_HOSTS, routed=True))

    found = []
    for machine in spec.machines:
        given = dict(flag.split("=", 1) for flag in machine.flags)
        assert bool(given) == machine.engine
        if given:
            found.append(IPv4Interface(given["--bip"]).network)
            found.append(IPv4Network(given["--default-address-pool"].removeprefix("base=").partition(",")[0]))
    assert len(found) == 2 * MOST_HOSTS
    assert not any(one.overlaps(other) for number, one in enumerate(found) for other in found[:number])
    # A swarm takes those of its overlays from 10.0.0.0/8.
    assert not any(one.overlaps(IPv4Network("10.0.0.0/8")) for one in found)


def test_networks_are_no_more_than_a_host_has_subnets_for() -> None:
    many = [Kind.USER] * 31

    require_subnets([*many, Kind.INTERNAL, Kind.BRIDGE])
    require_subnets([*many, Kind.OVERLAY])
    for one_more in (Kind.USER, Kind.OVERLAY):
        with pytest.raises(UsageError):
            require_subnets([*many, Kind.INTERNAL, one_more])
