"""A Docker Engine running privately in a machine."""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import docker
import docker.errors
import msgspec
import requests.exceptions
from packaging.version import Version

from netfacts.engine.answer import answer_of
from netfacts.engine.image import IMAGE, load_image
from netfacts.engine.source import Installation
from netfacts.lab.agent import Reply
from netfacts.lab.machine import Machine
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError, LabError, ProbeError
from netfacts.model.fact import engine_version
from netfacts.model.record import EngineInfo
from netfacts.run import Finished

_READY_S = 60.0
_STOP_S = 15.0
# What 28 and later print after a flag that they do not know: two screens that would hide the flag's name.
_USAGE = re.compile(r"^Usage:\s+dockerd.*?(?=^, Code:|\Z)", re.MULTILINE | re.DOTALL)
# The machine's own daemon.json is not the subject.
_CONFIG = "/run/netfacts/daemon.json"


class Ended(EngineError):
    """The daemon ended instead of starting; `returned` holds the end of its log."""


class _Component(msgspec.Struct):
    Name: str = "?"
    Version: str = "?"


class _Version(msgspec.Struct):
    Version: str
    ApiVersion: str
    Components: list[_Component] | None = None


class _Backend(msgspec.Struct):
    Driver: str = "iptables"


class _About(msgspec.Struct):
    Driver: str = ""
    FirewallBackend: _Backend | None = None


class Engine:
    """A dockerd with its containerd, in a machine. Ends with the machine."""

    socket = "/run/docker.sock"
    """Where it listens, in the machine."""
    log = "/run/netfacts/dockerd.log"
    """Where it writes its log, in the machine."""
    image = IMAGE
    """What it calls the probe image."""
    private = True
    """Whether nobody else uses it."""
    call_s = 30
    """How long it may take over an answer: what one that hangs costs a check."""
    labels: Mapping[str, str] = MappingProxyType({})
    """What everything bears that is made on it, besides what a check gives."""

    def __init__(self, machine: Machine, installation: Installation, *, flags: Sequence[str] = (), cgroup: str) -> None:
        """Start it with the probe image loaded.

        `flags` are added to dockerd's own; `cgroup` names the cgroup folder that its containers go under.

        Raises: EngineError with the end of its log.
        """
        self.machine = machine
        self.installation = installation
        self.flags = tuple(flags)
        self.cgroup = cgroup
        self.pid = 0
        self._roots: list[Installation] = []
        self.start()
        load_image(self.api)

    # -- life

    def start(self, *, flags: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> None:
        """Start the daemon, with other flags and with variables if given, and wait until it answers.

        Raises: EngineError with the end of its log; Ended where the daemon itself gave up.
        """
        if flags is not None:
            self.flags = tuple(flags)
        self.__dict__.pop("api", None)
        root = self.installation.root
        self.machine.agent.call("write", path=_CONFIG, text="{}\n")
        try:
            spawned = self.machine.agent.call(
                "spawn",
                argv=self._argv(),
                # Nothing of the caller's environment: no proxy, no DOCKER_* that changes the engine under test.
                env={"PATH": self.installation.path, "HOME": "/root", "TMPDIR": "/run", **(environment or {})},
                log=self.log,
                root=str(root) if root else "",
                name=self._root_name(),
            )
        except ProbeError as error:
            raise EngineError("could not start dockerd", where=self.machine.name, returned=error.returned) from None
        self.pid = spawned["pid"]
        # Asked for once and answered when it happens: what is looked at again and again is the socket alone.
        end = self.machine.agent.submit("wait", pid=self.pid, timeout_s=_READY_S)
        until(lambda: self._answers(end), what="dockerd to answer", timeout_s=_READY_S, error=self._failure)

    def become(self, successor: Installation) -> None:
        """Start another engine in the place of this one, which was stopped: same machine, data, socket and flags.

        Raises: EngineError with the end of its log.
        """
        self.installation = successor
        self.__dict__.pop("info", None)
        self.start()

    def _root_name(self) -> str:
        """What the machine calls the root of this installation: each has one of its own, and finds it as it left it."""
        if self.installation not in self._roots:
            self._roots.append(self.installation)
        return f"engine-{self._roots.index(self.installation)}"

    def _argv(self) -> list[str]:
        return [
            "dockerd",
            f"--host=unix://{self.socket}",
            "--data-root=/run/netfacts/docker",
            "--exec-root=/run/docker",
            "--pidfile=/run/docker.pid",
            f"--config-file={_CONFIG}",
            f"--cgroup-parent=/{self.cgroup}",
            "--exec-opt=native.cgroupdriver=cgroupfs",
            "--storage-driver=overlay2",
            *self._own_programs(),
            *self.flags,
        ]

    def _own_programs(self) -> list[str]:
        """Flags for the programs that dockerd since 28 looks for in folders of this machine before PATH."""
        programs = self.installation.programs
        if not programs:
            return []
        flags = {"--userland-proxy-path": "docker-proxy", "--init-path": "docker-init"}
        return [f"{flag}={programs / name}" for flag, name in flags.items() if (programs / name).exists()]

    def _answers(self, end: Reply) -> bool:
        if end.done() and (status := end.result()["exit"]) is not None:
            raise self._failure(f"dockerd ended with status {status}", Ended)
        if not self.machine.exists(self.socket):
            return False
        try:
            return bool(self.api.ping())
        except (requests.exceptions.ConnectionError, docker.errors.DockerException):
            self.__dict__.pop("api", None)
            return False

    def exit_status(self) -> int | None:
        """Give the daemon's exit status, None while it runs."""
        status: int | None = self.machine.agent.call("wait", pid=self.pid, timeout_s=0)["exit"]
        return status

    def _failure(self, attempted: str, kind: type[EngineError] = EngineError) -> EngineError:
        return kind(
            attempted,
            where=f"{self.machine.name}, engine {self.installation.spec}",
            returned=self.log_tail(),
            remedy="the lines above are the end of dockerd's log",
        )

    def stop(self) -> None:
        """Stop the daemon in order, and its containers with it.

        Raises: EngineError if it has to be killed.
        """
        if not self.machine.terminate(self.pid, timeout_s=_STOP_S):
            self.kill()
            raise self._failure(f"dockerd did not stop within {_STOP_S:.0f} s")

    def kill(self) -> None:
        """Kill the daemon, as a crash would."""
        self.machine.agent.call("signal", pid=self.pid, signal=int(signal.SIGKILL))
        self.machine.agent.call("wait", pid=self.pid, timeout_s=_STOP_S)

    def check_alive(self) -> None:
        """Raises: EngineError where the daemon has ended or does not answer; LabError where its machine is lost."""
        self.machine.check_alive()
        if (status := self.exit_status()) is not None:
            raise self._failure(f"dockerd ended with status {status}")
        try:
            self.api.ping()
        except (requests.exceptions.RequestException, docker.errors.DockerException) as error:
            raise self._failure(f"dockerd does not answer: {error}") from None

    def log_tail(self, lines: int = 15) -> str:
        """Give the end of the daemon's log."""
        with contextlib.suppress(ProbeError, LabError):
            text = _USAGE.sub("", self.machine.read(self.log)[0] or "")
            return "\n".join(text.splitlines()[-lines:])
        return ""

    # -- talking to it

    @cached_property
    def api(self) -> docker.APIClient:
        """The SDK's client, at the API version that the engine speaks."""
        client = docker.APIClient(base_url=self._url(), version="auto", timeout=self.call_s)
        # A socket of the lab needs no proxy and no .netrc of the user's, and requests looks for both on every call.
        client.trust_env = False
        return client

    def _url(self) -> str:
        return f"unix://{self.machine.path(self.socket)}"

    def execute(self, argv: Sequence[str], *, net: str = "", text: str = "", timeout_s: float = 10.0) -> Finished:
        """Run a program where the engine is: in its mount namespace and the machine's network namespace.

        `net` is the path of another one, such as a container's.

        Raises: ProbeError where it can't be started.
        """
        env = {"PATH": self.installation.path, "LC_ALL": "C"}
        mnt = f"/proc/{self.pid}/ns/mnt"
        return self.machine.execute(argv, net=net, mnt=mnt, env=env, text=text, timeout_s=timeout_s)

    def run(self, command: str, *, net: str = "", text: str = "") -> str:
        """Change something by a program that the engine comes with, such as iptables; give what it prints.

        As `Vantage.run`, in the engine's mount namespace. `net` is the path of a network namespace, such as a
        container's; without it the machine's own is changed.

        Raises: LabError where it fails; ProbeError where it can't be started; OffLimits where the machine is
        somebody's, and it would change that.
        """
        done = self.execute(shlex.split(command), net=net, text=text)
        return done.checked(f"could not change {self.machine.name} by the engine's programs", LabError).out

    def has_client(self) -> bool:
        """Whether the engine comes with its command line client."""
        try:
            return self.docker("--version").exit_status == 0
        except ProbeError:
            return False

    def docker(self, *argv: str, timeout_s: float = 10.0) -> Finished:
        """Run the engine's own command line client, for where what a person types is the point.

        Raises: ProbeError where the engine comes without one.
        """
        return self.execute(["docker", f"--host=unix://{self.socket}", *argv], timeout_s=timeout_s)

    @cached_property
    def info(self) -> EngineInfo:
        """What this engine is. Asked once.

        Raises: EngineError.
        """
        said: dict[str, Any] = answer_of(self, "say its version", self.api.version, like=_Version)
        about: dict[str, Any] = answer_of(self, "describe itself", self.api.info, like=_About)
        # Expectations go by it: an engine without one is no subject, and to be refused before any check.
        engine_version(said["Version"])
        components = {
            str(part.get("Name", "?")): str(part.get("Version", "?"))
            for part in said.get("Components") or ()
            if part.get("Name") != "Engine"
        }
        return EngineInfo(
            spec=self.installation.spec,
            version=str(said["Version"]),
            api=str(said["ApiVersion"]),
            firewall=self._firewall(about),
            storage=str(about.get("Driver", "")),
            flags=list(self.flags),
            components=components,
        )

    def _firewall(self, about: dict[str, Any]) -> str:
        backend = (about.get("FirewallBackend") or {}).get("Driver", "iptables")
        if not backend.startswith("iptables"):
            return str(backend)
        try:
            said = self.execute(["iptables", "--version"]).out
        except ProbeError:
            # Not where this one looks for it, who is not root: the variant stays unknown.
            return "iptables"
        return "iptables-nft" if "nf_tables" in said else "iptables-legacy"

    @property
    def version(self) -> Version:
        """Its version, without the distribution's suffix."""
        return engine_version(self.info.version)
