"""Which subnet docker0 takes."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage
from netfacts.observe import interface, output, routes
from netfacts.topology import Host
from netfacts.verdict import equal

_BRIDGE = "docker0"
_POOLS = [IPv4Network(f"172.{number}.0.0/16") for number in (17, 18, 19)]
# What a daemon remembers of its networks: without it, its next start is a first one.
_REMEMBERED = "/run/netfacts/docker/network"


@pytest.mark.fact("docker0.default-addr")
def test_docker0_has_the_first_address_of_the_first_pool(host: Host, act: Act, claim: Claim) -> None:
    """On a host where nothing else uses 172.17.0.0/16, docker0 has the address 172.17.0.1/16."""
    pool = _POOLS[0]
    others = _overlapping(host.vantage, pool)
    claim.control(equal(f"routes of the host into {pool} but docker0's own", others, [], control=True))

    with act:
        found = _addresses(host)
        claim.show("ip -4 route", output(host.vantage, "ip", "-4", "route"))

    claim.judge(equal("IPv4 addresses of docker0", found, [f"{pool[1]}/16"], vantage=host.vantage))


def _overlapping(vantage: Vantage, *pools: IPv4Network) -> list[str]:
    found = [route.destination for route in routes(vantage) if route.device != _BRIDGE]
    networks = {prefix: IPv4Network(prefix.replace("default", "0.0.0.0/0")) for prefix in found}
    return [prefix for prefix, network in networks.items() if any(map(network.overlaps, pools))]


def _addresses(host: Host) -> list[str]:
    return [str(end) for end in interface(host.vantage, _BRIDGE).ipv4]


@strike("docker0.default-addr", "the host's eth0 is in 172.17.0.0/16 when the daemon first starts")
def _(stage: Stage) -> None:
    _start_as_new(stage.host, _taken(_POOLS[0]))


@pytest.mark.fact("docker0.not-random")
# Its engine begins anew, three times.
@pytest.mark.own_lab
def test_engines_that_begin_anew_take_the_first_free_pool(host: Host, act: Act, claim: Claim) -> None:
    """An engine that begins anew gives docker0 the first pool that is free: the same each time, or the next."""
    others = _overlapping(host.vantage, *_POOLS)
    claim.control(equal("routes of the host into these pools but docker0's own", others, [], control=True))

    with act:
        found = [_addresses(host)]
        _start_as_new(host)
        found.append(_addresses(host))
        _start_as_new(host, *map(_taken, _POOLS[:2]))
        found.append(_addresses(host))
        claim.show("ip -4 route, at last", output(host.vantage, "ip", "-4", "route"))

    first, _, third = ([f"{pool[1]}/16"] for pool in _POOLS)
    claim.judge(
        equal("docker0's address after a first start", found[0], first, vantage=host.vantage),
        equal("after another first start", found[1], first, vantage=host.vantage),
        equal("after one with the first two pools taken by the host", found[2], third, vantage=host.vantage),
    )


def _taken(pool: IPv4Network) -> IPv4Interface:
    """An address by which the host is in this pool itself."""
    return IPv4Interface(f"{pool[9]}/{pool.prefixlen}")


def _start_as_new(host: Host, *taken: IPv4Interface) -> None:
    """Start the engine as if for the first time, on a host that has these addresses already.

    Raises: OffLimits where it is somebody's.
    """
    engine, machine = host.engine, host.machine
    engine.stop()
    machine.netlink.do("link", "del", index=machine.netlink.index(_BRIDGE))
    host.vantage.run(f"rm -r {_REMEMBERED}")
    # On the link: a route to a pool by way of a gateway does not keep the engine from taking it.
    eth0 = machine.netlink.index(machine.interface())
    for address in taken:
        machine.netlink.do("addr", "add", index=eth0, address=str(address.ip), prefixlen=address.network.prefixlen)
    engine.start()


@strike("docker0.not-random", "the host comes to be in the first pool meanwhile")
def _(stage: Stage) -> None:
    netlink, address = stage.host.machine.netlink, _taken(_POOLS[0])
    eth0 = netlink.index(stage.host.machine.interface())
    netlink.do("addr", "add", index=eth0, address=str(address.ip), prefixlen=address.network.prefixlen + 1)


flags("docker0.not-random", "--bip=172.17.0.1/16")
flags("docker0.not-random", "--default-address-pool=base=10.77.0.0/16,size=24")
