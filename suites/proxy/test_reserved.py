"""Published ports without docker-proxy: who holds them."""

from __future__ import annotations

import errno

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage
from netfacts.lab.agent import Refusal
from netfacts.observe import output, processes, sockets
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal

_PORT, _HOST_PORT = 8080, 20080


@pytest.mark.fact("proxy.port-reserved")
@pytest.mark.engine("--userland-proxy=false")
def test_published_port_is_taken_without_docker_proxy(host: Host, act: Act, claim: Claim) -> None:
    """Without docker-proxy dockerd itself holds a published host port, and nobody else can listen there."""
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)

    with act:
        proxies = processes(host.machine, name="docker-proxy")
        owners = {pid for socket in sockets(host.vantage) if socket.port == _HOST_PORT for pid in socket.pids}
        refused = _refusal_to_listen(host.vantage, _HOST_PORT)
        (answer,) = ask(tcp(host.vantage, host.address, _HOST_PORT))

    claim.show("ss -ltnp", output(host.vantage, "ss", "-ltnp"))
    claim.judge(
        equal("docker-proxy processes", len(proxies), 0, vantage=host.name),
        equal(f"processes that listen on the host's port {_HOST_PORT}", owners, {host.engine.pid}, vantage=host.name),
        equal(f"refusal to listen on port {_HOST_PORT}", refused, "EADDRINUSE", vantage=host.name),
        equal(f"who answered {answer.probe}", answer.name, web.name, vantage=host.name),
    )


def _refusal_to_listen(vantage: Vantage, port: int) -> str:
    """The name of the kernel's errno where nobody else may listen on a port of a vantage; "" where one can."""
    try:
        listen(vantage, port).close()
    except Refusal as refusal:
        return errno.errorcode.get(refusal.errno or 0, refusal.returned)
    return ""


flags("proxy.port-reserved", "--userland-proxy=true")


@strike("proxy.port-reserved", "the container is stopped")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("web"))


@strike("proxy.port-reserved", "the container is stopped, and a program of the host's takes the port")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("web"))
    listen(stage.host.vantage, _HOST_PORT)


@strike("proxy.port-reserved", "the DNAT rule is deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f" {stage.container('web').address}:")
