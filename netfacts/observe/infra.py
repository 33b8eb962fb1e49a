"""testinfra on a machine of a lab: the agent is its backend, so the same check runs on an embedded machine and a VM."""

from __future__ import annotations

from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from netfacts.lab import Machine

_COMMAND_S = 20.0


class AgentBackend(BaseBackend):  # type: ignore[misc]  # testinfra ships no types
    """Runs testinfra's commands through a machine's agent."""

    NAME = "netfacts"

    def __init__(self, machine: Machine, *args: Any, **kwargs: Any) -> None:
        self._machine = machine
        super().__init__(machine.name, *args, **kwargs)

    def run(self, command: str, *args: str, **_: Any) -> CommandResult:
        """Run a shell command, quoting `args` into it, as testinfra's other backends do."""
        line = self.get_command(command, *args)
        done = self._machine.execute(["sh", "-c", line], timeout_s=_COMMAND_S)
        return self.result(done.exit_status, self.encode(line), done.out, done.err)


def infra(machine: Machine) -> Host:
    """Give testinfra's view of a machine: `.interface("docker0")`, `.socket(…)`, `.sysctl(…)`, `.file(…)` and more."""
    return Host(AgentBackend(machine))
