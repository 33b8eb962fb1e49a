"""Who reaches whom over a fabric, as whom, and how large packets may be."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.fabric import Weaver
from fixtures.sabotage import Stage, flags, strike
from netfacts.model.verdict import Outcome
from netfacts.observe import bridge_ports, capture, interface, output
from netfacts.probe import Probe, ask, icmp, listen, tcp, udp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds, seen, source_is
from suites.fabrics import each_backend

_PORT = 8080
_NONCE = "netfacts-fabric-nonce"
_HOST_MTU = 1500
_MTU = {"host-gw": 1500, "vxlan": 1450, "udp": 1472}
# An IPv4 header and the eight bytes of ICMP's own.
_HEADERS_BYTES = 28


@pytest.mark.fact("flannel.reach")
@each_backend
def test_containers_of_different_hosts_meet_without_nat(
    host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim, backend: str
) -> None:
    """Containers of two hosts reach each other by address, and each sees the other's own address.

    host [ web ]── docker0 ── eth0 ══════ eth0 ── docker0 ──[ box ] host2
    """
    weave(backend)
    web, box = host.container("web"), host2.container("box")
    for container in (web, box):
        listen(container.vantage, _PORT)
        listen(container.vantage, _PORT, protocol="udp")

    with act:
        answers = ask(*_every_kind(web, box), *_every_kind(box, web))

    at = {container.name: container.address for container in (web, box)}
    claim.show("ip route, on the first host", output(host.vantage, "ip", "route"))
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(source_is(answer, at[answer.probe.vantage.label]) for answer in answers if answer.probe.kind != "icmp"),
    )


def _every_kind(here: Container, there: Container) -> list[Probe]:
    address = there.address
    return [tcp(here.vantage, address, _PORT), udp(here.vantage, address, _PORT), icmp(here.vantage, address)]


flags("flannel.reach", "--ip-masq=true")


@strike("flannel.reach", "the second host has no route to the first one's subnet any more")
def _(stage: Stage) -> None:
    (docker0,) = interface(stage.host.vantage, "docker0").ipv4
    stage.hosts["host2"].vantage.run(f"ip route replace blackhole {docker0.network}")


@strike("flannel.reach", "the rules that let the fabric's packets pass the first host are deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("filter", "DOCKER-USER", "ACCEPT")


@pytest.mark.fact("flannel.mtu")
@each_backend
def test_containers_leave_room_for_the_backend(
    host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim, backend: str
) -> None:
    """On hosts with an MTU of 1500 containers have 1450 with vxlan, 1472 with udp and 1500 with host-gw."""
    weave(backend)
    web, box = host.container("web"), host2.container("box")
    beneath = [interface(one.vantage, one.machine.interface()).mtu_bytes for one in (host, host2)]
    claim.control(equal("MTU of the hosts' interfaces", beneath, [_HOST_MTU, _HOST_MTU], control=True))

    with act, capture(host.vantage, host.machine.interface()) as wire:
        devices = [interface(container.vantage, "eth0") for container in (web, box)]
        fits, exceeds = ask(*(_whole(box, web.address, size) for size in (_MTU[backend], _MTU[backend] + 1)))

    claim.show("the larger ping that fits, on the first host's interface", wire.text(wire.carrying(_NONCE)))
    claim.judge(
        equal("MTU of the containers' interfaces", [device.mtu_bytes for device in devices], [_MTU[backend]] * 2),
        seen(fits, Outcome.CONNECTED),
        seen(exceeds, Outcome.TOO_BIG),
    )


def _whole(here: Container, address: str, size: int) -> Probe:
    """A ping whose IPv4 packet has `size` bytes and may not be cut."""
    return icmp(here.vantage, address, size=size - _HEADERS_BYTES, dont_fragment=True, nonce=_NONCE)


flags("flannel.mtu", "--mtu=1400")


@strike("flannel.mtu", "the first host drops packets of full size")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -t raw -I PREROUTING -i eth0 -m length --length 1500:65535 -j DROP")


@pytest.mark.fact("flannel.same-host")
@pytest.mark.own_lab
def test_containers_of_one_host_need_no_fabric(host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim) -> None:
    """Containers of one host talk over its bridge, also when nobody carries packets to other hosts any more.

    host [ web, near ]── docker0 ── flannel0 ── eth0 ══════ eth0 ── flannel0 ── docker0 ──[ box ] host2
    """
    fabric = weave("udp")
    web, near, box = host.container("web"), host.container("near"), host2.container("box")
    listen(web.vantage, _PORT)
    ways = fabric.backend.device, host.machine.interface()
    with capture(host.vantage, ways[0]) as device, capture(host.vantage, ways[1]) as wire:
        across = ask(tcp(box.vantage, web.address, _PORT), icmp(box.vantage, web.address, nonce=_NONCE))
    heard = [bool(one.carrying(_NONCE)) for one in (device, wire)]
    claim.control(
        *(seen(one, Outcome.CONNECTED, control=True) for one in across),
        equal("another host's packets are heard on both", heard, [True, True], control=True),
    )

    with act:
        with (
            capture(host.vantage, ways[0]) as device,
            capture(host.vantage, ways[1]) as wire,
            capture(web.vantage, "eth0") as own,
        ):
            (ping,) = ask(icmp(near.vantage, web.address, nonce=_NONCE))
        fabric.backend.halt(host.machine)
        inside, outside = ask(tcp(near.vantage, web.address, _PORT), tcp(box.vantage, web.address, _PORT))

    claim.show("in the container that was asked, meanwhile", own.text(own.carrying(_NONCE)))
    claim.control(seen(outside, Outcome.TIMED_OUT, Outcome.UNREACHABLE, control=True))
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in (ping, inside)),
        equal("its packets on flannel0", [str(one) for one in device.carrying(_NONCE)], []),
        equal("its packets on the host's interface", [str(one) for one in wire.carrying(_NONCE)], []),
    )


@strike("flannel.same-host", "the bridge keeps its ports from each other")
def _(stage: Stage) -> None:
    for port in bridge_ports(stage.host.vantage, "docker0"):
        stage.host.vantage.run(f"ip link set {port.name} type bridge_slave isolated on")


@strike("flannel.same-host", "what comes to the bridge is sent to flannel0, too")
def _(stage: Stage) -> None:
    host = stage.host.vantage
    for port in bridge_ports(host, "docker0"):
        host.run(f"tc qdisc add dev {port.name} ingress")
        everything, copied = "protocol ip u32 match u32 0 0", "action mirred egress mirror dev flannel0"
        host.run(f"tc filter add dev {port.name} parent ffff: {everything} {copied}")


@strike("flannel.same-host", "the host's interface is a port of the bridge, which does not learn who is behind which")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip link set docker0 type bridge ageing_time 0")
    stage.host.vantage.run("ip link set eth0 master docker0")


@pytest.mark.fact("flannel.hostgw-neighbours")
def test_host_gw_ends_at_a_router(host: Host, host2: Host, host3: Host, weave: Weaver, act: Act, claim: Claim) -> None:
    """With host-gw containers reach those of hosts on the same segment and no others; with vxlan they reach all.

    host [ box ] ──┬── lan ── router ── far ── host3 [ web ]
    host2 [ web ] ─┘
    """
    weave("vxlan", beside=("host-gw",))
    fabric = weave.beside("host-gw")
    routed = {
        one: one.network("routed", subnet=str(fabric[one.name].lease.subnet), options=_UNCHANGED)
        for one in (host, host2, host3)
    }
    here = host.container("near", network=routed[host]), host.container("box")
    there = {one: (one.container("web", network=routed[one]), one.container("other")) for one in (host2, host3)}
    for pair in there.values():
        for container in pair:
            listen(container.vantage, _PORT)

    with act:
        # Nobody has tried: who lays the fabric knows who is whose neighbour.
        tried = host.machine.execute(f"ip route replace {fabric[host3.name].lease.subnet} via {host3.address}".split())
        neighbour, beyond, far = ask(
            tcp(here[0].vantage, there[host2][0].address, _PORT),
            tcp(here[0].vantage, there[host3][0].address, _PORT),
            tcp(here[1].vantage, there[host3][1].address, _PORT),
        )

    claim.show("ip route, on the first host", output(host.vantage, "ip", "route"))
    claim.control(seen(far, Outcome.CONNECTED, control=True))
    claim.judge(
        holds(
            "route by way of the third host, on the first",
            tried.exit_status != 0,
            tried.err.strip() or "accepted",
            expected="refused",
        ),
        seen(neighbour, Outcome.CONNECTED),
        seen(beyond, Outcome.UNREACHABLE, Outcome.TIMED_OUT),
    )


_UNCHANGED = {"com.docker.network.bridge.enable_ip_masquerade": "false"}


@strike(
    "flannel.hostgw-neighbours", "the router is told which subnet is behind which host, and the hosts are not needed"
)
def _(stage: Stage) -> None:
    router = stage.vantage("router")
    for name in ("host", "host3"):
        subnet = stage.network("routed", name).subnet
        router.run(f"ip route replace {subnet} via {stage.hosts[name].address}")


@strike("flannel.hostgw-neighbours", "the first host takes the third one for a neighbour, for whom the router answers")
def _(stage: Stage) -> None:
    stage.vantage("router").run("sysctl -qw net.ipv4.conf.all.proxy_arp=1")
    stage.host.vantage.run(f"ip route add {stage.hosts['host3'].address} dev eth0")


@strike("flannel.hostgw-neighbours", "the first host has no route to its neighbour's subnet any more")
def _(stage: Stage) -> None:
    stage.host.vantage.run(f"ip route replace blackhole {stage.network('routed', 'host2').subnet}")
