"""Leases and configurations: Flannel's keys and words, read back as they were written; nothing else is a lease."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.fabric import Config, Lease
from netfacts.fabric.backend import hex_of
from netfacts.model.errors import LabError

_CONFIG = Config(backend="vxlan", network=IPv4Network("10.102.0.0/16"))
_KEY = "/netfacts/vxlan/network/subnets/10.102.1.0-24"
_MAC = "0a:01:02:03:04:05"

_subnets = st.integers(0, 2**24 - 1).map(lambda number: IPv4Network((number << 8, 24)))
_leases = st.builds(
    Lease,
    subnet=_subnets,
    address=st.ip_addresses(v=4),
    backend=st.text(st.characters(exclude_categories=["Cs"])),
    data=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(exclude_categories=["Cs"])),
    ),
)


# -- configurations


def test_configuration_is_flannel_s() -> None:
    assert _CONFIG.key == "/netfacts/vxlan/network/config"
    assert json.loads(_CONFIG.encode()) == {
        "Network": "10.102.0.0/16",
        "SubnetLen": 24,
        "Backend": {"Type": "vxlan"},
    }


def test_subnets_are_those_of_the_network_but_the_first() -> None:
    assert [str(subnet) for subnet in islice(_CONFIG.subnets(), 2)] == ["10.102.1.0/24", "10.102.2.0/24"]
    assert len(set(_CONFIG.subnets())) == 255
    assert list(Config(backend="udp", network=IPv4Network("10.1.2.0/24")).subnets()) == []


def test_keys_of_two_backends_are_apart() -> None:
    other = Config(backend="udp", network=_CONFIG.network)
    (subnet,) = islice(_CONFIG.subnets(), 1)

    assert _CONFIG.key_of(subnet) == _KEY
    assert not other.key_of(subnet).startswith(f"{_CONFIG.prefix}/")
    assert not other.key.startswith(f"{_CONFIG.prefix}/")


# -- leases


@given(lease=_leases)
def test_lease_is_read_as_it_was_written(lease: Lease) -> None:
    assert Lease.decode(_CONFIG.key_of(lease.subnet), lease.encode()) == lease


def test_lease_is_flannel_s() -> None:
    lease = Lease(
        subnet=IPv4Network("10.102.1.0/24"),
        address=IPv4Address("198.51.100.10"),
        backend="vxlan",
        data={"VNI": 1, "VtepMAC": _MAC},
    )

    assert json.loads(lease.encode()) == {
        "PublicIP": "198.51.100.10",
        "BackendType": "vxlan",
        "BackendData": {"VNI": 1, "VtepMAC": _MAC},
    }
    assert str(lease.gateway) == "10.102.1.1"


def test_lease_without_data_says_nothing_of_it() -> None:
    lease = Lease(subnet=IPv4Network("10.101.1.0/24"), address=IPv4Address("198.51.100.10"), backend="host-gw")

    assert json.loads(lease.encode()) == {"PublicIP": "198.51.100.10", "BackendType": "host-gw"}


@pytest.mark.parametrize("data", ["", ',"BackendData":null', ',"BackendData":{}'])
def test_lease_of_a_real_flanneld_is_read(data: str) -> None:
    """It says more than is needed here, and where there is no data it says so in one way or another."""
    value = f'{{"PublicIP":"198.51.100.10","PublicIPv6":null,"BackendType":"host-gw"{data},"BackendV6Data":null}}'

    lease = Lease.decode("/netfacts/host-gw/network/subnets/10.101.7.0-24", value)

    assert (str(lease.subnet), str(lease.address)) == ("10.101.7.0/24", "198.51.100.10")
    assert (lease.backend, lease.data) == ("host-gw", {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (_KEY, ""),
        (_KEY, "[]"),
        (_KEY, "{}"),
        (_KEY, '{"PublicIP":"198.51.100.10"}'),
        (_KEY, '{"BackendType":"vxlan"}'),
        (_KEY, '{"PublicIP":"host2","BackendType":"vxlan"}'),
        (_KEY, '{"PublicIP":null,"BackendType":"vxlan"}'),
        (_KEY, '{"PublicIP":"198.51.100.10","BackendType":"vxlan","BackendData":[]}'),
        (_KEY, '{"PublicIP":"198.51.100.10","BackendType":"vxlan"'),
        ("/netfacts/vxlan/network/subnets/", '{"PublicIP":"198.51.100.10","BackendType":"vxlan"}'),
        ("/netfacts/vxlan/network/subnets/10.102.1.7-24", '{"PublicIP":"198.51.100.10","BackendType":"vxlan"}'),
        ("/netfacts/vxlan/network/subnets/10.102.1.0-33", '{"PublicIP":"198.51.100.10","BackendType":"vxlan"}'),
        ("/netfacts/vxlan/network/subnets/fd00---64", '{"PublicIP":"198.51.100.10","BackendType":"vxlan"}'),
    ],
)
def test_what_is_no_lease_is_refused_with_its_key_and_value(key: str, value: str) -> None:
    with pytest.raises(LabError, match="the store holds what is no lease") as caught:
        Lease.decode(key, value)

    assert caught.value.where == key
    assert caught.value.returned.endswith(value)


@given(value=st.text())
def test_whatever_the_store_holds_is_a_lease_or_an_error_of_the_lab_s(value: str) -> None:
    with pytest.raises(LabError):
        Lease.decode(_KEY, value)


# -- how the kernel writes a subnet


def test_subnet_is_written_as_the_kernel_has_it() -> None:
    assert hex_of(IPv4Network("10.102.1.0/24")) == "0001660A"
    assert hex_of(IPv4Network("0.0.0.0/0")) == "00000000"


@given(subnet=_subnets)
def test_subnet_is_read_back_from_the_kernel_s_way(subnet: IPv4Network) -> None:
    assert bytes.fromhex(hex_of(subnet))[::-1] == subnet.network_address.packed
