"""Fabrics without engines: what leads packets from host to host, that it is all taken away, and what a lost host costs.

Each host has a bridge docker0 with the address that its lease leaves to it, and nobody on it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from ipaddress import IPv4Interface, IPv4Network
from itertools import permutations

import pytest

from netfacts.engine.program import BIRD, ETCD, Unpacked, obstacle, ready
from netfacts.fabric import Backend, Config, Fabric, Node, Store
from netfacts.fabric.bgp import Bgp
from netfacts.fabric.hostgw import HostGateway
from netfacts.fabric.udp import Udp
from netfacts.fabric.vxlan import Vxlan
from netfacts.lab import Lab, Machine, of_machine
from netfacts.lab.kernel import has
from netfacts.lab.wait import until
from netfacts.model.errors import LabError
from netfacts.model.lab import SHAPES
from netfacts.model.verdict import Outcome
from netfacts.observe import links, processes, routes
from netfacts.probe import Answer, ask, listen, tcp

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: labs are made of namespaces")

_NETWORK = IPv4Network("10.109.0.0/16")
_HOSTS = ("host", "host2", "host3")
_PORT = 8080
_GONE_S = 10.0
_SOON_S = 0.5
# What each backend needs of the kernel, by how much it shortens packets, and what of it runs on a host.
_FEATURES = {"vxlan": "vxlan", "udp": "tun"}
_OVERHEAD_BYTES = {"host-gw": 0, "vxlan": 50, "udp": 28, "bgp": 0}
_RUNS = {"udp": "nf-carrier", "bgp": "bird"}

Lay = Callable[[str], Fabric]


@pytest.fixture(scope="module")
def etcd() -> Unpacked:
    if remedy := obstacle(ETCD):
        pytest.skip(f"etcd can't be had: {remedy}")
    return ready(ETCD)


@pytest.fixture(scope="module")
def bird() -> Unpacked:
    if remedy := obstacle(BIRD):
        pytest.skip(f"BIRD can't be had: {remedy}")
    return ready(BIRD)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from _built()


@pytest.fixture
def doomed() -> Iterator[Lab]:
    """A lab that a test may lose machines of."""
    yield from _built()


def _built() -> Iterator[Lab]:
    built = Lab(SHAPES["fabric"])
    for name in _HOSTS:
        listen(of_machine(built[name]), _PORT)
    yield built
    built.close()


@pytest.fixture
def store(lab: Lab, etcd: Unpacked) -> Iterator[Store]:
    built = Store(lab["store"], etcd)
    yield built
    built.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer is not waited for as long as usual."""
    monkeypatch.setattr("netfacts.fabric.store._ASKED_S", 1.0)


@pytest.fixture(params=_OVERHEAD_BYTES)
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    _require(name)
    return name


def _require(backend: str) -> None:
    feature = _FEATURES.get(backend)
    if feature and not has(feature):
        pytest.skip(f"this kernel has no {feature}")


@pytest.fixture
def lay(lab: Lab, store: Store, request: pytest.FixtureRequest) -> Iterator[Lay]:
    """Lays a fabric of which no host is part yet. Undo: it is closed, and docker0 goes."""
    with ExitStack() as stack:

        def lay(name: str) -> Fabric:
            fabric = Fabric(Config(backend=name, network=_NETWORK), _maker(name, lab, request), store)
            stack.callback(fabric.close)
            return fabric

        yield lay
    for name in _HOSTS:
        lab[name].netlink.remove("docker0")


def _maker(name: str, lab: Lab, request: pytest.FixtureRequest) -> Backend:
    makers: Mapping[str, Callable[[], Backend]] = {
        "host-gw": HostGateway,
        "vxlan": Vxlan,
        "udp": lambda: Udp(_NETWORK),
        "bgp": lambda: Bgp(request.getfixturevalue("bird"), lab["router"], [lab[host] for host in _HOSTS]),
    }
    return makers[name]()


def _bridge(node: Node) -> None:
    """Give a host the bridge that its engine would make."""
    netlink, lease = node.machine.netlink, node.lease
    netlink.do("link", "add", ifname="docker0", kind="bridge")
    netlink.equip("docker0", [IPv4Interface(f"{lease.gateway}/{lease.subnet.prefixlen}")])


def _connect(here: Node, there: Node, *, timeout_s: float = 3.0) -> Answer:
    """Connect from one docker0 to the other."""
    source, target = str(here.lease.gateway), str(there.lease.gateway)
    (answer,) = ask(tcp(of_machine(here.machine), target, _PORT, source=source, timeout_s=timeout_s))
    return answer


def _kept(lab: Lab) -> dict[str, tuple[set[str], set[str], set[str]]]:
    """What is on hosts and router, as far as they live: links, destinations, programs but agents' workers."""
    return {
        machine.name: (
            {link.name for link in links(of_machine(machine))},
            {route.destination for route in routes(of_machine(machine))},
            {process.name for process in processes(machine)} - {"nf-worker"},
        )
        for machine in (lab[name] for name in (*_HOSTS, "router"))
        if machine.agent.alive
    }


def _runs(machine: Machine, backend: str) -> bool:
    return _RUNS[backend] in {process.name for process in processes(machine)}


# -- joining


def test_hosts_lease_subnets_of_their_own_and_reach_each_other(lab: Lab, lay: Lay, backend: str) -> None:
    before = _kept(lab)
    fabric = lay(backend)

    fabric.join(*(lab[name] for name in _HOSTS))

    nodes = [fabric[name] for name in _HOSTS]
    subnets = {node.lease.subnet for node in nodes}
    assert len(subnets) == len(_HOSTS)
    assert all(subnet.subnet_of(_NETWORK) for subnet in subnets)
    assert sorted(fabric.leases(), key=lambda lease: lease.address) == [node.lease for node in nodes]
    assert [str(node.lease.address) for node in nodes] == ["198.51.100.10", "198.51.100.11", "203.0.113.12"]
    assert {node.mtu_bytes for node in nodes} == {1500 - _OVERHEAD_BYTES[backend]}
    for node in nodes:
        _bridge(node)
    for here, there in permutations(nodes, 2):
        if backend == "host-gw" and "host3" in (here.name, there.name):
            assert _connect(here, there, timeout_s=_SOON_S).outcome is not Outcome.CONNECTED, (here.name, there.name)
        else:
            answer = _connect(here, there)
            assert (answer.outcome, answer.peer) == (Outcome.CONNECTED, str(here.lease.gateway)), (here.name, answer)
    for node in nodes:
        node.machine.netlink.remove("docker0")
    fabric.close()
    assert fabric.nodes == {}
    assert _kept(lab) == before
    fabric.close()


def test_host_that_comes_later_is_known_to_those_of_before(lab: Lab, lay: Lay, backend: str) -> None:
    fabric = lay(backend)
    fabric.join(lab["host"])
    first = fabric["host"]
    _bridge(first)

    fabric.join(lab["host2"])

    second = fabric["host2"]
    _bridge(second)
    assert fabric["host"] is first
    assert fabric.peers(first) == [second]
    assert _connect(first, second).peer == str(first.lease.gateway)
    assert _connect(second, first).peer == str(second.lease.gateway)


def test_next_fabric_between_the_same_hosts_leads_packets(lab: Lab, lay: Lay, backend: str) -> None:
    first = lay(backend)
    first.join(lab["host"], lab["host2"])
    first.close()

    second = lay(backend)
    second.join(lab["host"], lab["host2"])

    for node in second.nodes.values():
        _bridge(node)
    assert _connect(second["host"], second["host2"]).outcome is Outcome.CONNECTED


@pytest.mark.usefixtures("impatient")
def test_host_gets_nothing_while_the_store_is_away(lab: Lab, lay: Lay, store: Store, backend: str) -> None:
    fabric = lay(backend)
    before = _kept(lab)
    store.stop()

    with pytest.raises(LabError, match="could not ask the store from host2"):
        fabric.join(lab["host2"])

    assert _kept(lab) == before
    assert fabric.nodes == {}
    store.start()
    fabric.join(lab["host2"])
    assert [lease.subnet for lease in fabric.leases()] == [fabric["host2"].lease.subnet]


def test_network_without_a_subnet_that_is_left_is_said(lab: Lab, store: Store) -> None:
    small = IPv4Network("10.109.0.0/23")
    fabric = Fabric(Config(backend="host-gw", network=small), HostGateway(), store)
    fabric.join(lab["host"])

    with pytest.raises(LabError, match=r"no subnet of 10\.109\.0\.0/23 is left") as caught:
        fabric.join(lab["host2"])

    assert caught.value.where == "host2"
    assert str(fabric["host"].lease.subnet) == "10.109.1.0/24"
    fabric.close()


# -- what fails half-way


def test_hosts_that_have_joined_are_closed_where_another_could_not(lab: Lab, lay: Lay) -> None:
    """The device that one could not get is there already."""
    _require("vxlan")
    lab["host2"].netlink.do("link", "add", ifname="flannel.1", kind="bridge")
    before = _kept(lab)
    fabric = lay("vxlan")
    try:
        with pytest.raises(LabError, match="could not add link"):
            fabric.join(lab["host"], lab["host2"])

        assert list(fabric.nodes) == ["host"]
        fabric.close()
        # Gone is what stood in the way, too: it has the name of what was to be made.
        links_of_host2, *rest = before["host2"]
        assert _kept(lab) == before | {"host2": (links_of_host2 - {"flannel.1"}, *rest)}
    finally:
        lab["host2"].netlink.remove("flannel.1")


@pytest.mark.usefixtures("impatient")
def test_host_whose_lease_can_not_be_completed_keeps_no_device(
    lab: Lab, lay: Lay, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store goes away when the device has been made, whose MAC it was to be told."""
    _require("vxlan")
    fabric = lay("vxlan")
    before = _kept(lab)
    made = Vxlan.open

    def open_and_lose(self: Vxlan, node: Node) -> dict[str, str | int]:
        data = made(self, node)
        store.stop()
        return data

    monkeypatch.setattr(Vxlan, "open", open_and_lose)
    with pytest.raises(LabError, match="could not ask the store"):
        fabric.join(lab["host"])

    assert _kept(lab) == before
    assert fabric.nodes == {}


def test_carrier_whose_port_is_taken_leaves_nothing(lab: Lab, lay: Lay) -> None:
    _require("udp")
    fabric = lay("udp")
    before = _kept(lab)
    other = listen(of_machine(lab["host"]), 8285, protocol="udp")
    with closing(other), pytest.raises(LabError, match="could not start a carrier") as caught:
        fabric.join(lab["host"])

    assert "in use" in caught.value.returned
    assert _kept(lab) == before


@pytest.mark.usefixtures("impatient")
def test_router_runs_nothing_where_there_was_no_fabric(lab: Lab, store: Store, bird: Unpacked) -> None:
    before = _kept(lab)
    backend = Bgp(bird, lab["router"], [lab[name] for name in _HOSTS])
    assert _runs(lab["router"], "bgp")
    store.stop()

    with pytest.raises(LabError, match="could not ask the store"):
        Fabric(Config(backend="bgp", network=_NETWORK), backend, store)

    assert _kept(lab) == before


# -- leases


def test_host_that_joins_again_has_the_subnet_that_it_had(lab: Lab, lay: Lay) -> None:
    fabric = lay("host-gw")
    fabric.join(lab["host"], lab["host2"])
    before = {node.name: node.lease for node in fabric.nodes.values()}

    fabric.join(lab["host2"], lab["host3"])

    assert {name: fabric[name].lease for name in before} == before
    assert len(fabric.leases()) == 3


def test_fabric_that_follows_another_of_its_name_has_no_leases_of_that(lab: Lab, lay: Lay, store: Store) -> None:
    first = lay("host-gw")
    first.join(*(lab[name] for name in _HOSTS))
    first.close()
    store.put("/netfacts/vxlan/network/subnets/10.102.1.0-24", "another fabric's")

    second = lay("host-gw")
    second.join(lab["host2"])

    assert second.leases() == [second["host2"].lease]
    assert second["host2"].lease.subnet == next(second.config.subnets())
    assert store.keys("/netfacts/vxlan/") != {}


# -- halting


@pytest.mark.parametrize("backend", _RUNS)
def test_halt_ends_what_runs_on_that_host_alone(lab: Lab, lay: Lay, backend: str) -> None:
    _require(backend)
    fabric = lay(backend)
    fabric.join(lab["host"], lab["host2"])
    here, there = fabric["host"], fabric["host2"]
    for node in (here, there):
        _bridge(node)
    assert _connect(here, there).outcome is Outcome.CONNECTED

    fabric.backend.halt(here.machine)

    until(lambda: not _runs(here.machine, backend), what=f"{_RUNS[backend]} to end", timeout_s=_GONE_S)
    assert _runs(there.machine, backend)
    # The router hears of it a moment later.
    until(
        lambda: _connect(here, there, timeout_s=_SOON_S).outcome is not Outcome.CONNECTED,
        what=f"the way to {there.name} to end",
        timeout_s=_GONE_S,
    )
    assert not fabric.backend.device or fabric.backend.device in _kept(lab)["host"][0]
    fabric.backend.halt(here.machine)


@pytest.mark.parametrize("backend", ["host-gw", "vxlan"])
def test_kernel_s_own_ways_go_on_after_a_halt(lab: Lab, lay: Lay, backend: str) -> None:
    _require(backend)
    fabric = lay(backend)
    fabric.join(lab["host"], lab["host2"])
    for node in fabric.nodes.values():
        _bridge(node)

    fabric.backend.halt(lab["host"])

    assert _connect(fabric["host"], fabric["host2"]).outcome is Outcome.CONNECTED


@pytest.mark.parametrize("backend", _RUNS)
def test_what_was_killed_can_be_closed(lab: Lab, lay: Lay, backend: str) -> None:
    _require(backend)
    before = _kept(lab)
    fabric = lay(backend)
    fabric.join(lab["host"], lab["host2"])
    machine = lab["host"]
    machine.kill(*(process.pid for process in processes(machine) if process.name == _RUNS[backend]))

    fabric.close()

    assert _kept(lab) == before


# -- a host that is lost


def test_host_that_is_lost_costs_the_others_nothing(
    doomed: Lab, etcd: Unpacked, backend: str, request: pytest.FixtureRequest
) -> None:
    """Who needs it is told so; those that are left are still led to each other, and can all be closed."""
    before = _kept(doomed)
    store = Store(doomed["store"], etcd)
    fabric = Fabric(Config(backend=backend, network=_NETWORK), _maker(backend, doomed, request), store)
    fabric.join(doomed["host"], doomed["host2"], doomed["host3"])
    lost = doomed["host3"]
    os.kill(lost.agent.pid, signal.SIGKILL)
    until(lambda: not lost.agent.alive, what="the agent to end", timeout_s=_GONE_S)

    with pytest.raises(LabError, match="is lost"):
        fabric.leases() and fabric.backend.join(lost, fabric.config, store)

    here, there = fabric["host"], fabric["host2"]
    for node in (here, there):
        _bridge(node)
    assert _connect(here, there).outcome is Outcome.CONNECTED
    for node in (here, there):
        node.machine.netlink.remove("docker0")
    fabric.close()
    assert fabric.nodes == {}
    store.close()
    assert _kept(doomed) == {name: kept for name, kept in before.items() if name != lost.name}
