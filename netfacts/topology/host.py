"""A host: a machine with an engine, and what a check builds on it, all of it removed at the check's end."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import requests.exceptions

from netfacts.engine import Engine
from netfacts.engine.answer import answer_of
from netfacts.engine.swarm import leave_swarm, node_id
from netfacts.lab import Vantage, of_machine
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError, LabError, ProbeError
from netfacts.topology import removal
from netfacts.topology.bounds import Bounds
from netfacts.topology.byhand import ByHand
from netfacts.topology.container import Container
from netfacts.topology.inspected import Created, InspectedNetwork
from netfacts.topology.network import Network
from netfacts.topology.refusal import Refused
from netfacts.topology.request import for_container, ipam
from netfacts.topology.service import Service, create
from netfacts.topology.standing import Standing

Tamper = Callable[[dict[str, Any]], dict[str, Any]]
"""Changes what an engine is asked to create: how a sabotage plays an engine that ignores an option."""

_FOREVER = ("sleep", "1d")
_SETTLED_S = 10.0
_LABEL = "org.netfacts.check"
_GAVE_UP = "attaching to network failed"
# Modes in which an engine takes no --dns, or has nothing to do with what it names.
_WITHOUT_DNS = ("none", "host", "container")


class Host:
    """Builds on one engine for one check. Undo: `close`."""

    def __init__(
        self,
        engine: Engine,
        *,
        check: str = "",
        tamper: Tamper | None = None,
        standing: Standing | None = None,
        shared: bool = False,
    ) -> None:
        """`standing` is what checks share on the engine; a `shared` one gets from there what others have asked for."""
        self.engine = engine
        self.machine = engine.machine
        self._check = check
        self._tamper = tamper
        self._standing = standing or Standing(engine)
        self._shared = shared
        self._bounds = Bounds(engine)
        # Where the host asks somebody's nameservers, a lab's names, and what a check asks for, go to the lab's own.
        self._nameservers = [] if engine.private or not self.machine.spec.ports else [self._resolver]
        # Names are unlike in every check, so that nothing left behind can answer for another's.
        self._tag = secrets.token_hex(2)
        self.containers: list[Container] = []
        """What the check has asked for so far."""
        self.networks: list[Network] = []
        self.made: Counter[str] = Counter()
        """How many containers and networks were made for it: all but those that stood already."""
        self._roles: dict[str, Container | Network] = {}
        self._undo: list[Callable[[], object]] = []

    # -- where

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.machine.name

    @property
    def address(self) -> str:
        """The machine's IPv4 address on its first segment."""
        return self.machine.address

    @property
    def _resolver(self) -> str:
        return str(self.machine.lab.resolver_of(self.name))

    @property
    def vantage(self) -> Vantage:
        """Probes from the machine itself."""
        return of_machine(self.machine)

    @cached_property
    def by_hand(self) -> ByHand:
        """Wires the machine past the engine. Undo: `close`.

        Raises: OffLimits where the machine is somebody's.
        """
        return ByHand(self.machine, self._tag, self._undo)

    def nameservers(self, *addresses: str, names: Mapping[str, str] | None = None) -> None:
        """Give the host these nameservers, or none. The engine reads them when it starts a container.

        `names`: what a DNS server at each of the addresses, which are the host's own, knows. Undo: `close`.
        """
        self._bounds.nameservers()
        text = "".join(f"nameserver {address}\n" for address in addresses) or "# no nameserver\n"
        self._undo.append(partial(self._write_resolv_conf, f"nameserver {self._resolver}\n"))
        self._write_resolv_conf(text)
        if names:
            for address in addresses:
                said = self.machine.agent.call("listen", kind="dns-udp", address=address, port=53, names=dict(names))
                self._undo.append(partial(self.machine.agent.call, "close", listener=said["listener"]))

    def _write_resolv_conf(self, text: str) -> None:
        # An engine with a root file system of its own has a file of its own, too; its successor gets the machine's.
        for root in ("", f"/proc/{self.engine.pid}/root"):
            self.machine.agent.call("write", path=f"{root}/etc/resolv.conf", text=text)

    # -- networks

    def network(
        self,
        role: str,
        *,
        driver: str = "bridge",
        subnet: str = "",
        gateway: str = "",
        ip_range: str = "",
        ipv6: bool = False,
        subnet6: str = "",
        further: Sequence[str] = (),
        options: Mapping[str, str] | None = None,
        internal: bool = False,
        attachable: bool = False,
        name: str = "",
    ) -> Network:
        """Create a network. `role` becomes part of its name, unless `name` is the whole of it.

        `ip_range` is the value of --ip-range, for `subnet`; `ipv6` is Docker's --ipv6, and `subnet6` a further --subnet
        for it. `further` holds the values of --subnet beside these.

        Raises: EngineError with the engine's words.
        """
        self._bounds.network(
            driver, subnets=filter(None, (subnet, *further, subnet6)), ipv6=ipv6, options=options or {}
        )
        request = self._asked(
            {
                "name": name or f"{role}-{self._tag}",
                "driver": driver,
                "ipam": ipam(subnet, gateway, subnet6, ip_range, further=further),
                "enable_ipv6": ipv6,
                "options": dict(options or {}),
                "internal": internal,
                "attachable": attachable or None,
                # Not asked for: what it would have an engine refuse is refused by newer ones in any case.
                "check_duplicate": None,
                "labels": self._labels(),
            }
        )
        shared = self._shared and not name
        network = self._standing.network(role, request) if shared else None
        if network is None:
            created = self._call(
                "create network", request["name"], lambda: self.engine.api.create_network(**request), like=Created
            )
            network = Network(self.engine, created["Id"], request["name"])
            self.made["networks"] += 1
            if shared:
                self._standing.keep(role, request, network)
        self.networks.append(network)
        self._roles[f"network {role}"] = network
        return network

    def require_unserved(self, *ports: int) -> None:
        """Need TCP ports of the host that nobody serves, because what answers there is counted on to be a container.

        Raises: OffLimits where somebody's program listens at one.
        """
        self._bounds.ports(ports)

    def unguarded(self, port: int) -> int | tuple[str, int]:
        """Give what to publish a service at that lets everybody in: on somebody's host the lab's own address alone."""
        return port if self.engine.private else (self.address, port)

    def require_alone(self, name: str = "bridge") -> None:
        """Need one of the networks that every engine has for this check alone, because it counts what is on it.

        Raises: OffLimits where others have containers there.
        """
        self._standing.clear()
        said = self._call("inspect network", name, lambda: self.engine.api.inspect_network(name))
        others = set(said.get("Containers") or ()) - {container.id for container in self.containers}
        self._bounds.alone(name, len(others))

    def predefined(self, name: str = "bridge") -> Network:
        """Give one of the networks that every engine has."""
        said = self._call("inspect network", name, lambda: self.engine.api.inspect_network(name), like=InspectedNetwork)
        return Network(self.engine, said["Id"], name, predefined=True)

    def remove(self, network: Network) -> None:
        """Remove a network before the check's end.

        Raises: EngineError with the engine's words; OffLimits for one that somebody's engine has anyway.
        """
        self._bounds.removal(network)
        self._call("remove network", network.name, lambda: self.engine.api.remove_network(network.id))

    def connect(self, network: Network, container: Container, *, address: str = "") -> None:
        """Connect a container to a further network.

        Raises: EngineError with the engine's words.
        """
        self._attach(
            f"connect {container.name} to",
            network.name,
            lambda: self.engine.api.connect_container_to_network(
                container.id, network.handle, ipv4_address=address or None
            ),
        )
        container.refresh()

    def disconnect(self, network: Network, container: Container) -> None:
        """Disconnect a container from a network.

        Raises: EngineError with the engine's words.
        """
        self._call(
            f"disconnect {container.name} from",
            network.name,
            lambda: self.engine.api.disconnect_container_from_network(container.id, network.handle),
        )
        container.refresh()

    # -- containers

    def container(
        self,
        role: str,
        *,
        network: Network | None = None,
        mode: str = "",
        pid: str = "",
        ipc: str = "",
        address: str = "",
        publish: Mapping[str, Any] | None = None,
        publish_all: bool = False,
        links: Mapping[str, str] | None = None,
        dns: Sequence[str] = (),
        hosts: Mapping[str, str] | None = None,
        command: Sequence[str] = _FOREVER,
        environment: Mapping[str, str] | None = None,
        image: str = "",
        labels: Mapping[str, str] | None = None,
        restart: str = "",
        aliases: Sequence[str] = (),
        hostname: str = "",
        name: str = "",
        named: bool = True,
        cap_add: Sequence[str] = (),
        cap_drop: Sequence[str] = (),
        start: bool = True,
    ) -> Container:
        """Create and start a container of the probe image. `role` becomes part of its name, unless `name` is all of it.

        `mode` is Docker's --network value (`none`, `host`, `container:ID`); with neither it nor `network` the engine
        chooses; `pid` and `ipc` are the values of --pid and --ipc. `publish` maps "8080/tcp" to what the SDK takes: a
        host port, (address, port), (address,), None for any, or a list of these. `links` maps a container's name to an
        alias; `dns` holds the values of --dns; `hosts` maps names to addresses, as --add-host does; `restart` is the
        value of --restart, `aliases` are those of --network-alias, and `hostname`, `cap_add` and `cap_drop` those of
        the options of these names. With `named=False` there is no --name, and the engine makes one up.

        Raises: EngineError with the engine's words; OffLimits where it could change the network of somebody's host.
        """
        self._bounds.container(network.name if network else mode, cap_add=cap_add)
        request = self._asked(
            {
                "name": name or (f"{role}-{self._tag}" if named else ""),
                "image": image or self.engine.image,
                "command": list(command),
                "mode": network.name if network else mode,
                "pid": pid,
                "ipc": ipc,
                "address": address,
                "publish": dict(publish or {}),
                "publish_all": publish_all,
                "links": dict(links or {}),
                "dns": list(dns) or ([] if mode.partition(":")[0] in _WITHOUT_DNS else self._nameservers),
                "hosts": dict(hosts or {}),
                "environment": dict(environment or {}),
                "labels": self._labels() | dict(labels or {}),
                "restart": restart,
                "aliases": list(aliases),
                "hostname": hostname,
                "cap_add": list(cap_add),
                "cap_drop": list(cap_drop),
            }
        )
        shared = self._shared and start and named
        container = self._standing.container(role, request) if shared else None
        if container is not None:
            self.containers.append(container)
            self._roles[role] = container
            return container
        created = self._call(
            "create container",
            request["name"] or role,
            lambda: self.engine.api.create_container(**for_container(self.engine.api, request)),
            like=Created,
        )
        warnings = tuple(created.get("Warnings") or ())
        container = self._note(role, Container(self.engine, created["Id"], request["name"], warnings))
        if not container.name:
            container.refresh()
            container.name = str(container.said["Name"]).removeprefix("/")
        if not start:
            container.refresh()
            return container
        self.start(container)
        if shared:
            self._standing.keep(role, request, container)
        return container

    def _note(self, role: str, container: Container) -> Container:
        """Have a container that was just created be removed with the check."""
        self.containers.append(container)
        self.made["containers"] += 1
        self._roles[role] = container
        return container

    def typed(self, role: str, *options: str, start: bool = True) -> Container:
        """Create a container by `docker create OPTIONS`, as a person types it for `docker run`, and start it.

        Raises: Refused with the client's or the engine's words; OffLimits for what could change somebody's host.
        """
        self._bounds.typed(options)
        request = self._asked({"name": f"{role}-{self._tag}", "typed": list(options)})
        labels = [f"--label={key}={value}" for key, value in self._labels().items()]
        common = ("--name", request["name"], *labels, "--stop-signal", "SIGKILL")
        done = self.engine.docker("create", *common, *request["typed"], self.engine.image, *_FOREVER)
        done.checked(f"docker refused to create container {request['name']}", Refused)
        container = self._note(role, Container(self.engine, done.out.strip(), request["name"]))
        container.refresh()
        if start:
            self.start(container)
        return container

    def start(self, container: Container) -> None:
        """Start a container.

        Raises: EngineError with the engine's words.
        """
        self._attach("start container", container.name, lambda: self.engine.api.start(container.id))
        container.refresh()
        self._await_command(container)

    def _attach(self, verb: str, name: str, call: Callable[[], Any]) -> None:
        """Have the engine start or connect a container. It may give up on its swarm before that has attached it."""
        deadline = time.monotonic() + self.engine.call_s
        while True:
            try:
                self._call(verb, name, call)
            except Refused as refused:
                if _GAVE_UP not in refused.returned or time.monotonic() > deadline:
                    raise
            else:
                return

    def _await_command(self, container: Container) -> None:
        """Wait until the container's first process is its command.

        An engine calls a container started when runc has let its init go; for a moment the process is still that, with
        the environment and the program of runc.

        Raises: EngineError.
        """

        def executed() -> bool:
            said = self.machine.text(f"/proc/{container.pid}/cmdline")
            if said is None:
                # It has ended already.
                return True
            program, argument, *_ = [*said.split("\0"), "", ""]
            # In the middle of execve it has no command line at all.
            return program != "" and not (program.endswith("runc") and argument == "init")

        until(executed, what=f"{container.name} to execute its command", timeout_s=_SETTLED_S, error=EngineError)

    def rename(self, container: Container, role: str) -> None:
        """Give a container another name, of which `role` becomes part.

        Raises: EngineError with the engine's words.
        """
        name = f"{role}-{self._tag}"
        self._call(f"rename {container.name} to", name, lambda: self.engine.api.rename(container.id, name))
        container.name = name
        container.refresh()

    def stop(self, container: Container) -> None:
        """Stop a container at once.

        Raises: EngineError with the engine's words.
        """
        self._release(container)
        self._call("stop container", container.name, lambda: self.engine.api.stop(container.id, timeout=0))
        container.refresh()

    # -- services

    def service(
        self,
        role: str,
        *,
        network: Network,
        nodes: Sequence[Host],
        endpoint_mode: str = "dnsrr",
        publish: Mapping[int, int] | None = None,
        only_on: Host | None = None,
    ) -> Service:
        """Create a service of the probe image with a task on each of the swarm's nodes, or `only_on` one of them.

        `nodes` are the swarm's hosts, this one first: its manager. `publish` maps a port of all nodes to the tasks'.
        Undo: `close` of the last node, which comes first.

        Raises: EngineError with the engine's words.
        """
        if publish:
            for node in nodes:
                node._bounds.ingress()
        request = self._asked(
            {
                "name": f"{role}-{self._tag}",
                "network": network.id,
                "endpoint_mode": endpoint_mode,
                "publish": dict(publish or {}),
                "publish_mode": "ingress",
                "only_on": node_id(only_on.engine) if only_on else "",
                "image": self.engine.image,
                "command": list(_FOREVER),
                "labels": self._labels(),
            }
        )
        engines = [host.engine for host in nodes]
        service: Service = self._call("create service", request["name"], lambda: create(request, engines))
        nodes[-1]._undo.append(service.remove)
        return service

    def leave_swarm(self) -> None:
        """Have the engine leave its swarm, in which it is a worker. Undo: none: the lab is to be the check's own.

        Raises: EngineError with the engine's words; OffLimits where it is somebody's.
        """
        self._bounds.parting()
        leave_swarm(self.engine)

    # -- what stands

    def find(self, role: str) -> Container:
        """Give the container that was made in this role.

        Raises: KeyError.
        """
        found = self._roles[role]
        assert isinstance(found, Container)
        return found

    def find_network(self, role: str) -> Network:
        """Give the network that was made in this role.

        Raises: KeyError.
        """
        found = self._roles[f"network {role}"]
        assert isinstance(found, Network)
        return found

    def close(self) -> None:
        """Remove what was made, last made first; "already gone" is success. What is shared is given back.

        Raises: ExceptionGroup of whatever could not be removed, or is not as it was lent.
        """
        both: list[Container | Network] = [*self.containers, *self.networks]
        lent = [one for one in both if self._standing.holds(one)]
        containers = [container for container in self.containers if container not in lent]
        networks = [network for network in self.networks if network not in lent]
        self.containers, self.networks = [], []
        errors: list[Exception] = []
        while self._undo:
            try:
                self._undo.pop()()
            except (EngineError, LabError, ProbeError, requests.exceptions.RequestException) as trouble:
                errors.append(trouble)
        remaining = self._standing.count("bridge")
        errors += removal.remove(self.engine, containers, networks, releasing=self._release, remaining=remaining)
        try:
            self._standing.take_back(lent)
        except (EngineError, LabError) as trouble:
            errors.append(trouble)
        if errors:
            raise ExceptionGroup(f"could not remove what {self._check or 'a check'} had built on {self.name}", errors)

    def release(self) -> None:
        """End the agent's workers in the containers' namespaces, so that an engine that stops can take these away."""
        for container in self.containers:
            if container.netns:
                self.machine.release(container.netns)

    def _release(self, container: Container) -> None:
        """End the agent's worker in a container's network namespace, unless others run in it, too."""
        sharing = [other for other in self.containers if other is not container and other.netns == container.netns]
        if container.netns and not any(other.pid for other in sharing):
            self.machine.release(container.netns)

    def _labels(self) -> dict[str, str]:
        return {_LABEL: self._check, **self.engine.labels}

    def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._tamper is None:
            return request
        changed = self._tamper(request)
        # What a request has no place for belongs to another kind of object: a network has no mode.
        return {option: changed[option] for option in request}

    def _call(self, verb: str, name: str, call: Callable[[], Any], *, like: Any = Any) -> Any:
        return answer_of(self.engine, f"{verb} {name}", call, like=like, refused=Refused)
