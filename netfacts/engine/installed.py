"""The engine that runs on a machine anyway, as somebody has configured it: asked, built upon, and never ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Never

from netfacts.engine.engine import Engine
from netfacts.engine.image import load_image
from netfacts.engine.source import Installation
from netfacts.lab.machine import Machine
from netfacts.model.errors import EngineError, OffLimits, ProbeError
from netfacts.run import Finished

INSTALLED = Installation("installed", None)
RUN_LABEL = "org.netfacts.run"
"""What containers, networks and images on it bear that a run made; the value says which agent owns them."""

_NAMESPACES = ("net", "pid")


class InstalledEngine(Engine):
    """A dockerd of the machine that a lab's host is."""

    private = False
    # It may have more to do, on a slower machine.
    call_s = 120
    flags: tuple[str, ...] = ()

    def __init__(
        self,
        machine: Machine,
        socket: str,
        *,
        owner: str,
        image: str = "",
        reached_by: str = "",
        privileged: bool = True,
    ) -> None:
        """Look at it. What is made on it bears `owner`, the stamp of the agent that removes it when netfacts ends.

        `image` is what its probe image is called, where other engines are to know it by the same name, and `reached_by`
        the socket by which this process reaches it, where that is not `socket` itself.

        Raises: EngineError where it does not answer.
        """
        self.machine = machine
        self.socket = socket
        self.reached_by = reached_by or socket
        self.installation = INSTALLED
        self.cgroup = ""
        self.labels = {RUN_LABEL: owner}
        # Nodes of a swarm pull what is named by a tag before they take their own: this registry refuses at once.
        self.image = image or f"127.0.0.1:9/netfacts/probe:{owner}"
        self.check_alive()
        self.pid = 0
        if privileged:
            # To others than root a process's namespaces do not show.
            daemon = self._daemon()
            self.pid = int(daemon["pid"])
            self.flags = tuple(daemon["argv"][1:])

    def _daemon(self) -> dict[str, Any]:
        """Find its process: the dockerd in the machine's own namespaces, and not one of a lab's.

        Raises: EngineError where there is none, or more than one.
        """
        here: list[dict[str, Any]] = self.machine.agent.call("processes")
        agents = [one for one in here if one["pid"] == self.machine.agent.pid]
        found = [one for one in here for agent in agents if one["name"] == "dockerd" and _live_together(one, agent)]
        if len(found) != 1:
            raise EngineError(
                "could not tell which process is the engine",
                where=self.machine.name,
                returned=f"{len(found)} processes called dockerd in the machine's namespaces",
                remedy="start it (`systemctl start docker`); a rootless engine is none of the machine's",
            )
        return found[0]

    def execute(self, argv: Sequence[str], *, net: str = "", text: str = "", timeout_s: float = 10.0) -> Finished:
        """Run a program where the engine is; without root in the machine's mount namespace, which mostly is the same.

        Raises: ProbeError where it can't be started; OffLimits where it would change the machine.
        """
        if self.pid:
            return super().execute(argv, net=net, text=text, timeout_s=timeout_s)
        env = {"PATH": self.installation.path, "LC_ALL": "C"}
        return self.machine.execute(argv, net=net, env=env, text=text, timeout_s=timeout_s)

    def load(self) -> None:
        """Load the probe image."""
        load_image(self.api, self.image, self.labels)

    def unload(self) -> None:
        """Remove the probe image, and those of applications that checks have loaded."""
        label = f"{RUN_LABEL}={self.labels[RUN_LABEL]}"
        for image in self.api.images(quiet=True, filters={"label": label}):
            self.api.remove_image(image, force=True)

    def _url(self) -> str:
        return f"unix://{self.reached_by}"

    def start(self, **_: object) -> Never:
        """Raises: OffLimits."""
        self._refuse("start")

    def become(self, _: Installation) -> Never:
        """Raises: OffLimits."""
        self._refuse("replace")

    def stop(self) -> Never:
        """Raises: OffLimits."""
        self._refuse("stop")

    def kill(self) -> Never:
        """Raises: OffLimits."""
        self._refuse("kill")

    def _refuse(self, verb: str) -> Never:
        raise OffLimits(f"it would {verb} the engine", where=self.machine.name)

    def exit_status(self) -> int | None:
        """None: it runs; whoever asks for more is told by `check_alive`."""
        return None

    def log_tail(self, lines: int = 15) -> str:
        """Give the end of what the journal has of it, "" where there is none."""
        try:
            done = self.machine.execute(["journalctl", f"_PID={self.pid}", f"-n{lines}", "--no-pager", "-ocat"])
        except ProbeError:
            return ""
        return done.out


def _live_together(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one["namespaces"][kind] == other["namespaces"][kind] for kind in _NAMESPACES)
