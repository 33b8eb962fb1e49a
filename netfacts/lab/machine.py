"""Machines: an agent as PID 1, interfaces on segments, addresses, routes."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from ipaddress import IPv6Address
from typing import Any

from netfacts.lab.agent import Agent
from netfacts.lab.site import HERE, Links, Site, Wire
from netfacts.lab.wait import until
from netfacts.lab.wire import Netlink
from netfacts.model.errors import LabError, OffLimits
from netfacts.model.lab import LabSpec, MachineSpec
from netfacts.run import Finished

_SYSCTLS = {
    # A namespace inherits the host's value; dockerd is to find forwarding off and switch it on itself.
    "net.ipv4.ip_forward": "0",
    "net.ipv6.conf.all.forwarding": "0",
    # Addresses are ours alone: no need to wait a second for duplicate address detection.
    "net.ipv6.conf.all.accept_dad": "0",
    "net.ipv6.conf.default.accept_dad": "0",
}

_KILL_S = 5.0
_SETTLED_S = 10.0
_MULTICAST = IPv6Address("ff00::")


class Machine:
    """A live machine of a lab. Built by `Lab`; ends with it, or when its agent dies."""

    def __init__(self, spec: MachineSpec, lab: LabSpec, *, site: Site = HERE) -> None:
        """Start the agent at a site and furnish the machine; it has no interfaces yet.

        Raises: LabError.
        """
        self.spec = spec
        self._lab = lab
        self.name = spec.name
        self.agent = Agent(spec.name, site=site)
        sysctls = dict(_SYSCTLS)
        if spec.router:
            sysctls |= {"net.ipv4.ip_forward": "1", "net.ipv6.conf.all.forwarding": "1"}
        try:
            self.agent.call(
                "furnish",
                hostname=spec.name,
                resolv_conf=f"nameserver {lab.resolver_of(spec.name)}\n",
                hosts=f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {spec.name}\n",
                sysctls=sysctls,
            )
        except BaseException:
            self.agent.close()
            raise

    @property
    def lab(self) -> LabSpec:
        """The lab that it is part of, as declared."""
        return self._lab

    @property
    def address(self) -> str:
        """Its first IPv4 address."""
        return str(self.lab.address(self.name))

    @property
    def addresses(self) -> list[str]:
        """All its addresses, IPv4 before IPv6 on each port."""
        return [str(interface.ip) for port in self.spec.ports for interface in self.lab.interfaces(port)]

    @property
    def address6(self) -> str:
        """Its first IPv6 address.

        Raises: OffLimits where somebody's machine has none.
        """
        found = [address for address in self.addresses if ":" in address]
        if not found:
            raise OffLimits("it needs an IPv6 subnet that the machines share", where=self.name)
        return found[0]

    def path(self, inside: str) -> str:
        """Give the path by which this process reaches a file in the machine, which is on the machine that it is on."""
        return f"/proc/{self.agent.pid}/root{inside}"

    @property
    def netlink(self) -> Netlink:
        """A netlink socket in the machine's network namespace.

        Raises: OffLimits where the machine is not netfacts' own, or far away; LabError where it is lost.
        """
        # The socket would go on speaking with a namespace in which nobody is any more.
        self.check_alive()
        if not isinstance(self._links, Netlink):
            raise OffLimits("it would speak netlink with another machine's kernel", where=self.name)
        return self._links

    @cached_property
    def _links(self) -> Links:
        return self.agent.site.links(self.agent)

    def wire(self, segments: Mapping[str, Wire]) -> None:
        """Plug the machine's ports in, and give it its addresses and routes.

        Raises: LabError.
        """
        self._links.equip("lo", ())
        self._plug_in(segments)
        if self.spec.gateway:
            segment = self.spec.ports[0].segment
            for gateway in self.lab.addresses(self.spec.gateway, segment=segment):
                if self._supports(gateway.version):
                    default = "0.0.0.0/0" if gateway.version == 4 else "::/0"
                    self._links.route("add", default, str(gateway))

    def interface(self, number: int = 0) -> str:
        """Give the name of the interface on the machine's port of this number."""
        return f"eth{number}"

    def bearer(self, number: int = 0) -> str:
        """Give the name of what has the addresses of this port: its interface, or the bridge that this is a port of."""
        return self.spec.ports[number].bridge or self.interface(number)

    def _plug_in(self, segments: Mapping[str, Wire]) -> None:
        for number, port in enumerate(self.spec.ports):
            if port.nic:
                continue
            name, bearer = self.interface(number), self.bearer(number)
            segments[port.segment].plug(self.agent.pid, name)
            if port.bridge:
                self.netlink.bridge(port.bridge, name)
            self.sysctl(**self._parameters(bearer))
            interfaces = self.lab.interfaces(port)
            self._links.equip(bearer, [one for one in interfaces if self._supports(one.version)])

    def _supports(self, family: int) -> bool:
        """Whether the kernel has this family: one booted with ipv6.disable=1 has IPv4 only."""
        return family == 4 or self.exists("/proc/sys/net/ipv6")

    def _parameters(self, name: str) -> dict[str, str]:
        # A neighbour that is not there is known after one second and not after three.
        return {f"net.{ip}.neigh.{name}.retrans_time_ms": "300" for ip in ("ipv4", "ipv6")}

    def settle(self) -> None:
        """Wait until the machine answers to its IPv6 addresses.

        The kernel takes addresses and multicast into service some time after the link is up; who asks before that asks
        again only after a second.

        Raises: LabError.
        """
        wanted = set()
        for number, port in enumerate(self.spec.ports):
            if port.nic:
                continue
            _, ipv6 = self.lab.segment(port.segment).interface(port.number)
            bearer = self.bearer(number)
            wanted |= {(_hex(ipv6.ip), "80", bearer), (_hex(_MULTICAST), "08", bearer)}

        def in_service() -> bool:
            table = self.read("/proc/net/ipv6_route")[0]
            # A kernel without IPv6 has no such table.
            return table is None or wanted <= {(row[0], row[1], row[-1]) for row in map(str.split, table.splitlines())}

        until(in_service, what=f"IPv6 on {self.name} to be in service", timeout_s=_SETTLED_S)

    def route(self, prefix: str, via: str) -> None:
        """Add a route; with `via` "" the machine looks for these addresses on its first segment itself.

        Raises: LabError.
        """
        self._links.route("replace", prefix, via, "" if via else self.interface())

    def unroute(self, prefix: str, via: str) -> None:
        """Remove a route that `route` added.

        Raises: LabError.
        """
        self._links.route("del", prefix, via, "" if via else self.interface())

    def sysctl(self, net: str = "", **values: str) -> None:
        """Set kernel parameters, in the network namespace at `net` or the machine's own.

        Raises: ProbeError where the kernel refuses a value.
        """
        self.agent.call("sysctl-set", net=net, values=values)

    def execute(
        self,
        argv: Sequence[str],
        *,
        net: str = "",
        mnt: str = "",
        env: Mapping[str, str] | None = None,
        text: str = "",
        timeout_s: float = 10.0,
    ) -> Finished:
        """Run a program in the machine; `net` and `mnt` are paths of namespaces to run it in.

        `env`: all of its environment; without it PATH and the C locale.

        Raises: ProbeError where it can't be started.
        """
        said: dict[str, Any] = self.agent.call(
            "exec", net=net, mnt=mnt, argv=list(argv), env=dict(env or {}), input=text, timeout_s=timeout_s
        )
        status = -9 if said["exit"] is None else said["exit"]
        return Finished(tuple(argv), status, said["out"], said["err"])

    def terminate(self, pid: int, *, timeout_s: float) -> bool:
        """Ask a process that the agent has started to end in order, and say whether it has in this time."""
        self.agent.call("signal", pid=pid, signal=int(signal.SIGTERM))
        return self.agent.call("wait", pid=pid, timeout_s=timeout_s)["exit"] is not None

    def kill(self, *pids: int) -> None:
        """Kill processes of the machine, and wait until they have let go of their sockets.

        Raises: LabError where one has not in time.
        """
        for pid in pids:
            self.agent.call("signal", pid=pid, signal=int(signal.SIGKILL))
        for pid in pids:
            until(partial(self._has_ended, pid), what=f"process {pid} to end", timeout_s=_KILL_S)

    def _has_ended(self, pid: int) -> bool:
        """Whether a process has gone, or is a zombie without further threads."""
        stat, threads = self.agent.call("files", paths=[f"/proc/{pid}/stat", f"/proc/{pid}/task"])
        state = stat.get("text", "").rpartition(") ")[2][:1]
        return state in ("", "Z", "X") and len(threads.get("names", ())) <= 1

    def read(self, *paths: str, root: str = "") -> list[str | None]:
        """Read text files of the machine; None for one that is not there or can't be read."""
        return [entry.get("text") for entry in self.agent.call("files", paths=list(paths), root=root)]

    def inode(self, path: str) -> int:
        """Give the number of an inode of the machine, such as that of a namespace; 0 where there is none."""
        return self.agent.site.inode(self.agent, path)

    def exists(self, path: str) -> bool:
        """Say whether there is something at a path of the machine."""
        return bool(self.inode(path))

    def text(self, path: str) -> str | None:
        """Read a text file of the machine at once, for whoever looks again and again; None where there is none."""
        return self.agent.site.text(self.agent, path)

    def names(self, path: str) -> list[str] | None:
        """List a folder of the machine; None where there is none."""
        return self.agent.site.names(self.agent, path)

    def release(self, inode: int) -> None:
        """End the agent's worker in the network namespace of this inode, so that the namespace can go."""
        self.agent.call("release", inode=inode)

    def close(self) -> None:
        """End the machine and everything in it."""
        if "_links" in self.__dict__:
            self._links.close()
        self.agent.close()

    def check_alive(self) -> None:
        """Raises: LabError where the agent has ended."""
        if not self.agent.alive:
            raise LabError("the machine is lost", where=self.name, returned=self.agent.log_tail())


def _hex(address: IPv6Address) -> str:
    """An address as /proc writes it."""
    return address.exploded.replace(":", "")
