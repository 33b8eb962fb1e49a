"""Where `--target ssh://…` leads: what is read, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.lab.destination import SCHEME, Destination
from netfacts.model.errors import UsageError


@pytest.mark.parametrize(
    ("target", "destination"),
    [
        ("ssh://vm1", Destination("vm1")),
        ("ssh://vm1/", Destination("vm1")),
        ("ssh://lab@vm1", Destination("vm1", "lab")),
        ("ssh://lab@vm1.example.org:2222", Destination("vm1.example.org", "lab", 2222)),
        ("ssh://lab@198.51.100.10", Destination("198.51.100.10", "lab")),
        ("ssh://lab@[2001:db8::1]:22", Destination("2001:db8::1", "lab", 22)),
        ("ssh://[fe80::1%eth0]", Destination("fe80::1%eth0")),
    ],
)
def test_target_is_read_and_said_again(target: str, destination: Destination) -> None:
    assert Destination.parse(target) == [destination]
    assert Destination.parse(f"{SCHEME}{destination}") == [destination]


@pytest.mark.parametrize(
    "target",
    [
        "ssh://",
        "ssh:vm1",
        "vm1",
        "ssh://lab@",
        "ssh://vm1:",
        "ssh://vm1:0",
        "ssh://vm1:65536",
        "ssh://vm1:port",
        "ssh://vm1/var/run/docker.sock",
        "ssh://vm 1",
        "ssh://2001:db8::1",
        # What ssh would take for an option.
        "ssh://-oProxyCommand=true",
        "ssh://-oProxyCommand=true@vm1",
    ],
)
def test_what_names_no_vm_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="names no VM"):
        Destination.parse(target)


@pytest.mark.parametrize("target", ["ssh://lab@vm1,vm2:22", "ssh://lab@vm1,ssh://vm2:22"])
def test_several_vms_are_read_in_their_order(target: str) -> None:
    assert Destination.parse(target) == [Destination("vm1", "lab"), Destination("vm2", "", 22)]


@pytest.mark.parametrize("target", ["ssh://vm1,", "ssh://,vm1", "ssh://vm1,,vm2", "ssh://vm1, vm2"])
def test_a_gap_between_vms_is_refused(target: str) -> None:
    with pytest.raises(UsageError, match="names no VM"):
        Destination.parse(target)


def test_one_vm_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="each VM once"):
        Destination.parse("ssh://vm1,vm2,vm1")


@given(st.text())
def test_anything_else_is_a_destination_or_a_refusal(text: str) -> None:
    try:
        destinations = Destination.parse(SCHEME + text)
    except UsageError:
        return
    assert destinations
    for found in destinations:
        assert not found.host.startswith("-")
        assert not found.user.startswith("-")
        assert not set("\n\t @,") & set(found.host + found.user)
