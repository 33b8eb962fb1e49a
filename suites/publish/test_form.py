"""The forms of -p that a person can type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import ephemeral_ports
from netfacts.probe import Answer, ask, listen, tcp
from netfacts.topology import Host, PortBinding, refusal
from netfacts.verdict import equal, holds, seen

_PORT = 8080
_HOST_PORT = 20080


def _given(_: Vantage) -> range:
    return range(_HOST_PORT, _HOST_PORT + 1)


_FORMS: dict[str, tuple[str, str, Callable[[Vantage], range]]] = {
    "ip:host:container": (f"127.0.0.1:{_HOST_PORT}:{_PORT}", "127.0.0.1", _given),
    "ip:any:container": (f"127.0.0.1::{_PORT}", "127.0.0.1", ephemeral_ports),
    "host:container": (f"{_HOST_PORT}:{_PORT}", "0.0.0.0", _given),
    "container": (f"{_PORT}", "0.0.0.0", ephemeral_ports),
}


@pytest.mark.fact("publish.formats")
@pytest.mark.parametrize(("form", "address", "ports"), _FORMS.values(), ids=[f"form={name}" for name in _FORMS])
def test_docker_accepts_this_form_of_p(
    form: str, address: str, ports: Callable[[Vantage], range], host: Host, act: Act, claim: Claim
) -> None:
    """The docker client and the engine accept this form of -p, and publish what it says."""
    allowed = ports(host.vantage)

    with act:
        refused = refusal(lambda: host.typed("web", "-p", form))
        bindings = _ipv4_bindings(host)
        answers = _ask_on_loopback(host, bindings)

    claim.show("docker port web", "\n".join(map(str, bindings)))
    claim.judge(
        equal(f"refusal of docker create -p {form}", refused, ""),
        equal("host addresses (IPv4)", [binding.host_address for binding in bindings], [address]),
        *(
            holds("host port", binding.host_port in allowed, binding.host_port, expected=f"{allowed[0]}–{allowed[-1]}")
            for binding in bindings
        ),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(equal("who answered", answer.name, container.name) for container in host.containers for answer in answers),
    )


def _ipv4_bindings(host: Host) -> list[PortBinding]:
    """What the containers that stand publish; none, where the engine refused."""
    return [port for container in host.containers for port in container.ports if ":" not in port.host_address]


def _ask_on_loopback(host: Host, bindings: list[PortBinding]) -> list[Answer]:
    for container in host.containers if bindings else ():
        listen(container.vantage, _PORT)
    return ask(*(tcp(host.vantage, "127.0.0.1", binding.host_port) for binding in bindings))


@tamper("publish.formats", "the client reads the container port only")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"typed": ["-p", str(_PORT)]}


@tamper("publish.formats", "the client publishes on loopback, whatever the form")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"typed": ["-p", f"127.0.0.1::{_PORT}"]}


@tamper("publish.formats", "the client leads to another port of the container than it was told")
def _(request: dict[str, Any]) -> dict[str, Any]:
    flag, form = request["typed"]
    return request | {"typed": [flag, form.removesuffix(f"{_PORT}") + f"{_PORT + 1}"]}


@strike("publish.formats", "a program of the host's holds the port")
def _(stage: Stage) -> None:
    listen(stage.host.vantage, _HOST_PORT)
