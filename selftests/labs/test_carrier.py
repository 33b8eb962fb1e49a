"""Carriers: they end with who asked for them and with their worker, and take nothing that they could not carry."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from ipaddress import IPv4Interface
from typing import Any

import pytest

from netfacts.lab import Lab, Machine, of_machine
from netfacts.lab.kernel import has
from netfacts.lab.wait import until
from netfacts.model.errors import ProbeError
from netfacts.model.lab import SHAPES
from netfacts.model.verdict import Outcome
from netfacts.observe import links, processes
from netfacts.probe import ask, icmp

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: labs are made of namespaces")

_DEVICE, _PORT = "carried0", 8285
_ENDED_S = 5.0
_SOON_S = 0.5


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if not has("tun"):
        pytest.skip("this kernel has no tun")
    built = Lab(SHAPES["two-hosts"])
    yield built
    built.close()


@pytest.fixture
def host(lab: Lab) -> Iterator[Machine]:
    """A machine without carriers. Undo: its device goes, and with it who reads from it."""
    yield lab["host"]
    for machine in (lab["host"], lab["host2"]):
        machine.netlink.remove(_DEVICE)
        until(lambda machine=machine: not _carriers(machine), what="the carriers to end", timeout_s=_ENDED_S)  # type: ignore[misc]


def _carry(machine: Machine, ways: dict[str, str], **args: Any) -> int:
    asked = {"device": _DEVICE, "address": machine.address, "port": _PORT, "ways": ways} | args
    number: int = machine.agent.call("carry", **asked)
    return number


def _end(machine: Machine, number: int) -> bool:
    said: bool = machine.agent.call("carried", carrier=number)
    return said


def _carriers(machine: Machine) -> list[int]:
    return [process.pid for process in processes(machine) if process.name == "nf-carrier"]


def _until_it_runs(machine: Machine) -> int:
    """Wait until the one carrier has taken its name, and give its PID."""
    until(lambda: _carriers(machine), what="the carrier", timeout_s=_ENDED_S)
    (pid,) = _carriers(machine)
    return pid


def _has_device(machine: Machine) -> bool:
    return _DEVICE in {link.name for link in links(of_machine(machine))}


def _ping(machine: Machine, address: str, timeout_s: float = 3.0) -> Outcome:
    (answer,) = ask(icmp(of_machine(machine), address, timeout_s=timeout_s))
    return answer.outcome


def _pair(lab: Lab) -> tuple[int, int]:
    """Carriers on both hosts that lead to each other: 10.109.1.0/24 is the first's, and 10.109.2.0/24 the other's."""
    one, other = lab["host"], lab["host2"]
    numbers = (
        _carry(one, {"10.109.2.0/24": other.address}),
        _carry(other, {"10.109.1.0/24": one.address, "10.109.9.0/24": one.address}),
    )
    for number, machine in enumerate((one, other), start=1):
        machine.netlink.equip(_DEVICE, [IPv4Interface(f"10.109.{number}.1/16")])
    return numbers


def test_packets_are_carried_where_there_is_a_way(lab: Lab, host: Machine) -> None:
    _pair(lab)
    # Whoever it came to would answer.
    lab["host2"].netlink.equip(_DEVICE, [IPv4Interface("10.109.3.1/32")])

    assert _ping(host, "10.109.2.1") is Outcome.CONNECTED
    assert _ping(lab["host2"], "10.109.1.1") is Outcome.CONNECTED
    assert _ping(host, "10.109.3.1", _SOON_S) is Outcome.TIMED_OUT


def test_carrier_ends_and_leaves_its_device_to_the_next(lab: Lab, host: Machine) -> None:
    number, _ = _pair(lab)
    first = _until_it_runs(host)

    assert _end(host, number)

    assert _carriers(host) == []
    assert _has_device(host)
    assert _ping(host, "10.109.2.1", _SOON_S) is Outcome.TIMED_OUT
    assert not _end(host, number)
    second = _carry(host, {"10.109.2.0/24": lab["host2"].address})
    assert second != number
    assert _until_it_runs(host) != first
    assert _ping(host, "10.109.2.1") is Outcome.CONNECTED


def test_carrier_ends_with_its_worker(lab: Lab, host: Machine) -> None:
    _pair(lab)
    carrier = _until_it_runs(host)
    (worker,) = (process.parent for process in processes(host) if process.pid == carrier)

    host.agent.call("signal", pid=worker, signal=int(signal.SIGKILL))

    until(lambda: _is_replaced(host, worker), what="another worker", timeout_s=_ENDED_S)
    until(lambda: not _carriers(host), what="the carrier to end", timeout_s=_ENDED_S)
    assert _has_device(host)
    _carry(host, {"10.109.2.0/24": lab["host2"].address})
    assert _ping(host, "10.109.2.1") is Outcome.CONNECTED


def _is_replaced(machine: Machine, worker: int) -> bool:
    """Say whether another worker answers; PID 1 may not know of the end of one yet."""
    with contextlib.suppress(ProbeError):
        links(of_machine(machine))
        return worker not in {process.pid for process in processes(machine)}
    return False


def test_carrier_that_was_killed_can_be_ended(host: Machine) -> None:
    number = _carry(host, {})
    host.kill(_until_it_runs(host))

    assert _end(host, number)
    assert not _end(host, number)


def test_carrier_ends_with_its_device(host: Machine) -> None:
    """It would ask for packets for ever, before all other processes."""
    number = _carry(host, {})
    _until_it_runs(host)

    host.netlink.remove(_DEVICE)

    until(lambda: not _carriers(host), what="the carrier to end", timeout_s=_ENDED_S)
    assert _end(host, number)


def test_carrier_waits_while_its_device_is_down(lab: Lab, host: Machine) -> None:
    _pair(lab)
    vantage = of_machine(host)

    vantage.run(f"ip link set {_DEVICE} down")
    assert _ping(lab["host2"], "10.109.1.1", _SOON_S) is Outcome.TIMED_OUT
    vantage.run(f"ip link set {_DEVICE} up")

    assert _ping(lab["host2"], "10.109.1.1") is Outcome.CONNECTED


def test_device_has_one_carrier_at_a_time(host: Machine) -> None:
    _carry(host, {})
    first = _until_it_runs(host)

    with pytest.raises(ProbeError) as caught:
        _carry(host, {}, port=_PORT + 1)

    assert "busy" in caught.value.returned
    assert _carriers(host) == [first]


@pytest.mark.parametrize(
    ("ways", "said"),
    [
        ({"10.109.2.0/24": "host2"}, "host2"),
        ({"10.109.2.0/24": "2001:db8:1::b"}, "2001:db8:1::b"),
        ({"10.109.2.1/24": "198.51.100.11"}, "host bits"),
        ({"10.109.0.0/16": "198.51.100.11"}, "10.109.0.0/16 is no /24"),
        ({"10.109.2.0/25": "198.51.100.11"}, "10.109.2.0/25 is no /24"),
        ({"": "198.51.100.11"}, "Address cannot be empty"),
    ],
)
def test_way_that_leads_nowhere_is_refused(host: Machine, ways: dict[str, str], said: str) -> None:
    with pytest.raises(ProbeError) as caught:
        _carry(host, ways)

    assert said in caught.value.returned
    assert _carriers(host) == []
    assert not _has_device(host)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"address": "198.51.100.99"}, "Cannot assign requested address"),
        ({"device": "eth0"}, "Invalid argument"),
    ],
)
def test_carrier_that_can_not_start_makes_no_device(host: Machine, args: dict[str, str], said: str) -> None:
    before = {link.name for link in links(of_machine(host))}

    with pytest.raises(ProbeError) as caught:
        _carry(host, {}, **args)

    assert said in caught.value.returned
    assert {link.name for link in links(of_machine(host))} == before
    assert _carriers(host) == []
