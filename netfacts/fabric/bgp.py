"""`bgp`: hosts tell each other by BGP which subnets are theirs, and the router between them hears it, too.

Every machine runs BIRD. The router is the hosts' route reflector: each has a session with it alone, and it tells all of
them what each has said. Nothing is encapsulated.

Source: https://docs.tigera.io/calico/latest/networking/configuring/bgp, https://bird.network.cz/doc/bird-6.html#bgp
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

from netfacts.engine.program import Unpacked, start
from netfacts.fabric.backend import Emulated, Node, has_route
from netfacts.lab import Machine
from netfacts.lab.daemon import Daemon
from netfacts.lab.wait import until
from netfacts.model.errors import LabError, NetfactsError

_CONFIG, _CONTROL, LOG = "/run/netfacts/bird.conf", "/run/netfacts/bird.ctl", "/run/netfacts/bird.log"
_AS = 64512
_LEARNT_S = 30.0
_STOPPED_S = 10.0

# Only what BGP has told goes to the kernel. What this has already is learnt, because a next hop behind the router is
# found by the default route. docker0 is left out: a host would prefer what it sees there to what it is to tell.
_COMMON = """\
log stderr all;
router id {address};
protocol device {{ }}
protocol direct {{ ipv4; interface "eth*"; }}
protocol kernel {{ learn; ipv4 {{ import all; export where source = RTS_BGP; }}; }}
"""
# Soon there, and soon seen to be gone.
_SESSION = """\
protocol bgp to_{name} {{
    local {own} as {number};
    neighbor {other} as {number};
    connect delay time 1; connect retry time 1; error wait time 1, 2;
    hold time 9; keepalive time 3;
    {role}
    ipv4 {{ import all; export where source = {told}; }};
}}
"""


class Bgp(Emulated):
    """BIRD on each host and on the router."""

    name = "bgp"

    def __init__(self, bird: Unpacked, router: Machine, hosts: Sequence[Machine]) -> None:
        """Start the router's, which waits for the hosts.

        Raises: LabError.
        """
        self.maker = f"BIRD {bird.version}"
        self._bird = bird
        self._router = router
        self._running: dict[str, Daemon] = {}
        sessions = [
            _session(host.name, _neighbour(router, host), host.address, role="rr client;", told="RTS_BGP")
            for host in hosts
        ]
        try:
            self._start(router, "".join(sessions))
        except NetfactsError:
            self.end()
            raise

    def open(self, node: Node) -> dict[str, str | int]:
        """See `Emulated`."""
        machine = node.machine
        own = f"protocol static {{ ipv4; route {node.lease.subnet} unreachable; }}\n"
        gateway = _neighbour(self._router, machine)
        self._start(machine, own + _session("router", machine.address, gateway, told="RTS_STATIC"))
        return {}

    def connect(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`. Waits until the host has heard of all peers, and the router of the host."""
        self._await_routes(node.machine, [peer.lease.subnet for peer in peers])
        self._await_routes(self._router, [node.lease.subnet])

    def halt(self, machine: Machine) -> None:
        """See `Backend`. BIRD takes leave of its neighbours and takes its routes from the kernel."""
        if daemon := self._running.pop(machine.name, None):
            daemon.stop(timeout_s=_STOPPED_S)

    def close(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`. One that was killed has left its routes."""
        try:
            self.halt(node.machine)
        finally:
            for peer in peers:
                node.machine.netlink.unroute(str(peer.lease.subnet))

    def end(self) -> None:
        """See `Backend`."""
        self.halt(self._router)

    def _start(self, machine: Machine, protocols: str) -> None:
        text = _COMMON.format(address=machine.address) + protocols
        # One that was killed has left its socket, by which the next seems to be there at once.
        machine.execute(["rm", "-f", _CONTROL, LOG]).checked("could not remove what a BIRD has left", LabError)
        machine.agent.call("write", path=_CONFIG, text=text)
        argv = ["bird", "-f", "-c", _CONFIG, "-s", _CONTROL]
        daemon = start(machine, self._bird, argv, log=LOG)
        daemon.await_ready(lambda: machine.exists(_CONTROL), what="BIRD to listen", timeout_s=_LEARNT_S)
        self._running[machine.name] = daemon

    def _await_routes(self, machine: Machine, wanted: Sequence[IPv4Network]) -> None:
        """Raises: LabError where the machine's kernel has no route to one of these in time."""
        until(
            lambda: all(has_route(machine, subnet) for subnet in wanted),
            what=f"{machine.name} to learn the routes to {', '.join(map(str, wanted))}",
            timeout_s=_LEARNT_S,
            error=self._running[machine.name].failure,
        )


def _session(name: str, own: str, other: str, *, told: str, role: str = "") -> str:
    return _SESSION.format(name=name, own=own, other=other, number=_AS, role=role, told=told)


def _neighbour(router: Machine, host: Machine) -> str:
    """Give the router's address on a host's segment."""
    return str(router.lab.address(router.name, segment=host.spec.ports[0].segment))
