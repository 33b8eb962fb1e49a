"""Whose subnet is whose, and where that is kept."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from fixtures.claim import Act, Claim
from fixtures.fabric import Weaver
from fixtures.sabotage import Stage, flags, strike
from netfacts.engine.program import ETCD, ready
from netfacts.fabric import Config, Fabric, Lease, Store
from netfacts.lab import Machine
from netfacts.lab.program import run_program
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, output
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds, seen

_PORT = 8080
# As it is laid here, and a subnet of it that no host comes to.
_VXLAN = Config(backend="vxlan", network=IPv4Network("10.102.0.0/16"))
_SPARE = IPv4Network("10.102.99.0/24")
# In the words of netfacts' own emulation, and where flanneld is waited for.
_UNANSWERED = "could not ask the store from host3", "flanneld to lease a subnet"


@pytest.mark.fact("flannel.subnet-per-host")
def test_each_host_has_a_subnet_of_its_own(
    host: Host, host2: Host, host3: Host, weave: Weaver, act: Act, claim: Claim
) -> None:
    """Each host has leased another subnet; docker0 and all containers of a host have addresses of its own.

    host ──┬── lan ── router ── far ── host3
    host2 ─┘
    """
    fabric = weave("vxlan")
    everyone = (host, host2, host3)
    built = [(one, one.container(role)) for one in everyone for role in ("one", "other")]

    with act:
        leases = fabric.leases()
        bridges = {one: interface(one.vantage, "docker0").ipv4 for one in everyone}
        # Not as the engine has given them out: as they are.
        addresses = [(one, container, _address(container)) for one, container in built]

    own = {one: lease for one in everyone for lease in leases if str(lease.address) == one.address}
    claim.show("leases in the store", "\n".join(f"{lease.subnet}  {lease.encode()}" for lease in leases))
    claim.judge(
        equal(
            "hosts with a lease", sorted(str(one.address) for one in leases), sorted(one.address for one in everyone)
        ),
        equal("subnets that are leased", len({lease.subnet for lease in leases}), len(everyone)),
        *(
            equal("docker0", [str(end) for end in bridges[one]], [_bridge(lease)], vantage=one.name)
            for one, lease in own.items()
        ),
        *(
            holds(
                f"address of {container.name}",
                address in own[one].subnet,
                address,
                expected=f"one of {own[one].subnet}",
                vantage=one.name,
            )
            for one, container, address in addresses
            if one in own
        ),
        equal("different addresses", len({address for *_, address in addresses}), len(built)),
    )


def _address(container: Container) -> IPv4Address:
    return interface(container.vantage, "eth0").ipv4[0].ip


def _bridge(lease: Lease) -> str:
    return f"{lease.gateway}/{lease.subnet.prefixlen}"


flags("flannel.subnet-per-host", "--bip=10.102.1.1/24")


@strike("flannel.subnet-per-host", "the second host's bridge is given an address of the first one's subnet")
def _(stage: Stage) -> None:
    (first,) = interface(stage.host.vantage, "docker0").ipv4
    (second,) = interface(stage.hosts["host2"].vantage, "docker0").ipv4
    host2 = stage.hosts["host2"].vantage
    host2.run(f"ip address del {second} dev docker0")
    host2.run(f"ip address add {first} dev docker0")


@strike("flannel.subnet-per-host", "a container of the second host has the address of one of the first host's")
def _(stage: Stage) -> None:
    (taken,) = interface(stage.container("one").vantage, "eth0").ipv4
    other = stage.container("one", "host2").vantage
    other.run("ip address flush dev eth0")
    other.run(f"ip address add {taken} dev eth0")


@strike("flannel.subnet-per-host", "the second host has leased another subnet besides")
def _(stage: Stage) -> None:
    lease = Lease(subnet=_SPARE, address=IPv4Address(stage.hosts["host2"].address), backend=_VXLAN.backend)
    _etcdctl(stage, "put", _VXLAN.key_of(lease.subnet), lease.encode())


@strike("flannel.subnet-per-host", "the leases are deleted from the store")
def _(stage: Stage) -> None:
    _etcdctl(stage, "del", "--prefix", _VXLAN.leases)


def _etcdctl(stage: Stage, *argv: str) -> None:
    endpoint = f"--endpoints=http://{stage.machine('store').address}:2379"
    done = run_program(
        stage.vantage("store"), ready(ETCD).root, "etcdctl", endpoint, *argv, environment={"ETCDCTL_API": "3"}
    )
    done.checked("could not change what the store holds", LabError)


@pytest.mark.fact("flannel.store")
@pytest.mark.own_lab
def test_leases_are_kept_in_etcd(host: Host, host2: Host, host3: Host, weave: Weaver, act: Act, claim: Claim) -> None:
    """While etcd is away hosts go on as they are, and one that comes new gets no subnet until etcd is back.

    store [ etcd ] ──┬── lan ── router ── far ── host3, which comes later
    host [ web ] ────┤
    host2 [ box ] ───┘
    """
    fabric = weave("vxlan", hosts=(host.name, host2.name))
    web, box = host.container("web"), host2.container("box")
    listen(web.vantage, _PORT)
    before = fabric.leases()
    control = ask(tcp(box.vantage, web.address, _PORT))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in control))

    with act:
        weave.store.stop()
        still = ask(tcp(box.vantage, web.address, _PORT))
        without = _refusal(fabric, host3.machine)
        weave.store.start()
        again = _refusal(fabric, host3.machine)
        after = fabric.leases()

    claim.show("what host3 was told while etcd was away", without)
    claim.show("ip route, on host3", output(host3.vantage, "ip", "route"))
    claim.judge(
        equal("hosts with a lease", {lease.address for lease in before}, _addresses(host, host2)),
        *(seen(answer, Outcome.CONNECTED) for answer in still),
        holds(
            "what host3 was told while etcd was away",
            any(words in without for words in _UNANSWERED),
            without,
            expected="that it gets no answer",
        ),
        equal("what host3 was told when etcd was back", again, ""),
        equal("hosts with a lease then", {lease.address for lease in after}, _addresses(host, host2, host3)),
    )


def _addresses(*hosts: Host) -> set[object]:
    return {IPv4Address(host.address) for host in hosts}


def _refusal(fabric: Fabric, machine: Machine) -> str:
    """Say what a host that wants to be part of a fabric is told, "" where it becomes part of it."""
    try:
        fabric.join(machine)
    except LabError as error:
        return str(error)
    return ""


@strike("flannel.store", "the second host has no route to the first one's subnet any more")
def _(stage: Stage) -> None:
    (docker0,) = interface(stage.host.vantage, "docker0").ipv4
    stage.hosts["host2"].vantage.run(f"ip route replace blackhole {docker0.network}")


@strike("flannel.store", "the host that comes new does not reach etcd, also when that is back")
def _(stage: Stage) -> None:
    store = stage.machine("store").address
    stage.hosts["host3"].engine.run(f"iptables -I OUTPUT -d {store} -p tcp --dport 2379 -j REJECT")


@strike("flannel.store", "the host that comes new asks another etcd, which has a lease for it and does not go away")
def _(stage: Stage) -> None:
    host3, store = stage.hosts["host3"], stage.machine("store").address
    lease = Lease(subnet=_SPARE, address=IPv4Address(host3.address), backend=_VXLAN.backend)
    # Ends with its machine.
    other = Store(stage.machine("host2"), ready(ETCD))
    other.put(_VXLAN.key, _VXLAN.encode())
    other.put(_VXLAN.key_of(lease.subnet), lease.encode())
    host3.engine.run(
        f"iptables -t nat -I OUTPUT -d {store} -p tcp --dport 2379 -j DNAT --to {stage.hosts['host2'].address}"
    )
