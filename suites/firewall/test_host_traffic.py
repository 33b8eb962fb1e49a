"""What passes between the host and its own containers."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, rules
from netfacts.probe import Answer, Listener, ask, listen, tcp
from netfacts.topology import Container, Host
from netfacts.verdict import seen, source_is

_PORT = 8080


@pytest.mark.fact("firewall.host-untranslated")
def test_host_and_containers_see_each_others_addresses(host: Host, act: Act, claim: Claim) -> None:
    """A container sees docker0's address as the host's, and the host sees the container's."""
    web = host.container("web")
    listen(web.vantage, _PORT)
    service = listen(host.vantage)
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in _asked(host, web, service)))

    with act:
        to_container, *to_host = _asked(host, web, service)
        claim.show("sudo iptables -t nat -S", rules(host.engine).text("nat"))

    claim.judge(
        source_is(to_container, _gateway(host)),
        *(source_is(answer, web.address) for answer in to_host),
    )


def _asked(host: Host, web: Container, service: Listener) -> tuple[Answer, ...]:
    """Ask the container from the host, and the host from the container at both its addresses."""
    return tuple(
        ask(
            tcp(host.vantage, web.address, _PORT),
            tcp(web.vantage, _gateway(host), service.port),
            tcp(web.vantage, host.address, service.port),
        )
    )


def _gateway(host: Host) -> str:
    return str(interface(host.vantage, host.predefined().bridge).ipv4[0].ip)


@strike("firewall.host-untranslated", "what the host sends to the container is given another of its addresses")
def _(stage: Stage) -> None:
    web, other = stage.container("web").address, stage.host.address
    stage.host.engine.run(f"iptables -t nat -I POSTROUTING -d {web} -j SNAT --to-source {other}")


@strike("firewall.host-untranslated", "what the container sends to the host is given docker0's address")
def _(stage: Stage) -> None:
    web, other = stage.container("web").address, _gateway(stage.host)
    stage.host.engine.run(f"iptables -t nat -I INPUT -s {web} -j SNAT --to-source {other}")
