"""Published ports on a machine whose IPv6 is switched off."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import output
from netfacts.probe import Answer, ask, listen, tcp
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, seen

_PORT = 8080
_HOST_PORT = 20080


@pytest.mark.fact("publish.without-ipv6")
@pytest.mark.sysctl({f"net.ipv6.conf.{which}.disable_ipv6": "1" for which in ("all", "default")})
def test_published_container_starts_and_answers_without_ipv6(
    host: Host, client: Vantage, act: Act, claim: Claim
) -> None:
    """On a machine whose IPv6 is switched off a container with a published port starts, and is reached there."""
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT}, start=False)

    with act:
        refused = refusal(partial(host.start, web))
        answers = _ask_if_running(web, (client, host.address), (host.vantage, "127.0.0.1"))

    claim.show("docker port web", "\n".join(map(str, web.ports)))
    claim.show("ip -6 address, on the host", output(host.vantage, "ip", "-6", "address"))
    claim.judge(
        equal("refusal of docker start web", refused, ""),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(equal(f"who answered {answer.probe}", answer.name, web.name) for answer in answers),
    )


def _ask_if_running(container: Container, *ways: tuple[Vantage, str]) -> list[Answer]:
    """Ask for the published port; nothing, where the engine did not start the container."""
    if not container.pid:
        return []
    listen(container.vantage, _PORT)
    return ask(*(tcp(vantage, address, _HOST_PORT) for vantage, address in ways))


@strike("publish.without-ipv6", "a program of the host's holds the port")
def _(stage: Stage) -> None:
    listen(stage.host.vantage, _HOST_PORT)


@tamper("publish.without-ipv6", "the engine publishes by IPv6 only")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": {f"{_PORT}/tcp": ("::", _HOST_PORT)}}


@strike("publish.without-ipv6", "DOCKER-USER drops what comes from outside")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -i eth0 -j DROP")
