"""Legacy links: names, traffic and variables between two containers on the default bridge."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper, without
from netfacts.engine.image import EXPOSED
from netfacts.model.verdict import Outcome
from netfacts.observe import links, rules
from netfacts.probe import ask, icmp, listen, resolve, tcp
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, holds, seen, source_is

_NOT_RUNNING = "Cannot link to a non running container"
# 20.10 and 26.1 see that when they connect the container, 28 before.
_NOT_THERE = ("does not belong to the default network", "not attached to default bridge network")


@pytest.mark.fact("link.name-resolves")
@pytest.mark.shared
def test_link_makes_the_name_resolve(host: Host, act: Act, claim: Claim) -> None:
    """On the default bridge, a container started with --link test1 reaches test1 by that name."""
    source = host.container("test1")
    recipient = host.container("test2", links={source.name: source.name})
    listener = listen(source.vantage)

    with act:
        (found,) = resolve(recipient.vantage, source.name)
        (answer,) = ask(tcp(recipient.vantage, source.address, listener.port))
        pinged = recipient.run("ping", "-c", "1", "-W", "2", source.name)

    claim.show("docker exec test2 cat /etc/hosts", _hosts(recipient))
    claim.show("docker exec test2 ping -c 1 test1", pinged.out)
    claim.judge(
        seen(found, Outcome.CONNECTED),
        equal(f"addresses of {source.name}", found.addresses, (source.address,), vantage=recipient.name),
        source_is(answer, recipient.address),
        equal(f"exit status of ping {source.name}", pinged.exit_status, 0, vantage=recipient.name),
    )


@tamper("link.name-resolves", "the engine ignores --link")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "links")


@strike("link.name-resolves", "the recipient's /etc/hosts loses the source")
def _(stage: Stage) -> None:
    _write_hosts(stage, stage.container("test2"), "127.0.0.1 localhost\n")


@strike("link.name-resolves", "the source's veth is no port of docker0")
def _(stage: Stage) -> None:
    (peer,) = [link.peer_index for link in links(stage.container("test1").vantage) if link.name == "eth0"]
    stage.host.machine.netlink.do("link", "set", index=peer, master=0)


@pytest.mark.fact("link.one-way-names")
@pytest.mark.shared
def test_link_does_not_name_the_recipient_to_the_source(host: Host, act: Act, claim: Claim) -> None:
    """A link is one-way for names: the source does not learn the recipient's name."""
    source = host.container("test1")
    recipient = host.container("test2", links={source.name: source.name})
    (forth,) = resolve(recipient.vantage, source.name)
    (own,) = resolve(source.vantage, source.id[:12])
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in (forth, own)))

    with act:
        (back,) = resolve(source.vantage, recipient.name)

    claim.show("docker exec test1 cat /etc/hosts", _hosts(source))
    claim.show("docker exec test2 cat /etc/hosts", _hosts(recipient))
    claim.judge(
        seen(back, Outcome.NAME_NOT_FOUND),
        holds(
            "/etc/hosts of the source",
            recipient.name not in _hosts(source) and recipient.address not in _hosts(source),
            _hosts(source),
            expected="no line for the recipient",
            vantage=source.name,
        ),
    )


@strike("link.one-way-names", "the source's /etc/hosts names the recipient")
def _(stage: Stage) -> None:
    source, recipient = stage.container("test1"), stage.container("test2")
    _write_hosts(stage, source, f"{_hosts(source)}{recipient.address} {recipient.name}\n")


@strike("link.one-way-names", "both containers are connected to a user-defined network")
def _(stage: Stage) -> None:
    network = stage.host.network("shared")
    for role in ("test1", "test2"):
        stage.host.connect(network, stage.container(role))


@pytest.mark.fact("link.one-way-ip")
@pytest.mark.shared
def test_link_leaves_traffic_open_both_ways(host: Host, act: Act, claim: Claim) -> None:
    """A link does not make IP traffic one-way: source and recipient reach each other by address."""
    source = host.container("test1")
    recipient = host.container("test2", links={source.name: source.name})
    of_source, of_recipient = listen(source.vantage), listen(recipient.vantage)

    with act:
        forth, back, *pings = ask(
            tcp(recipient.vantage, source.address, of_source.port),
            tcp(source.vantage, recipient.address, of_recipient.port),
            icmp(recipient.vantage, source.address),
            icmp(source.vantage, recipient.address),
        )

    claim.show("docker exec test1 ping -c 1 -W 2 TEST2", source.run("ping", "-c1", "-W2", recipient.address).out)
    claim.show("docker exec test2 ping -c 1 -W 2 TEST1", recipient.run("ping", "-c1", "-W2", source.address).out)
    claim.judge(
        source_is(forth, recipient.address),
        source_is(back, source.address),
        *(seen(ping, Outcome.CONNECTED) for ping in pings),
    )


flags("link.one-way-ip", "--icc=false")


@strike("link.one-way-ip", "new connections from the source are dropped on the bridge")
def _(stage: Stage) -> None:
    source = stage.container("test1").address
    stage.host.engine.run(f"iptables -I FORWARD -s {source} -m conntrack --ctstate NEW -j DROP")


@pytest.mark.fact("link.exclusive-claim")
@pytest.mark.shared
def test_link_keeps_nobody_else_out(host: Host, act: Act, claim: Claim) -> None:
    """A container that is not linked reaches the source's ports just as the recipient does."""
    source = host.container("source")
    recipient = host.container("recipient", links={source.name: source.name})
    stranger = host.container("stranger")
    exposed, other = listen(source.vantage, EXPOSED[0]), listen(source.vantage)
    (linked,) = ask(tcp(recipient.vantage, source.address, exposed.port))
    claim.control(seen(linked, Outcome.CONNECTED, control=True))

    with act:
        answers = ask(*(tcp(stranger.vantage, source.address, port) for port in (exposed.port, other.port)))

    claim.show("sudo iptables-save -t filter", rules(host.engine).text("filter"))
    claim.judge(*(source_is(answer, stranger.address) for answer in answers))


flags("link.exclusive-claim", "--icc=false")


@strike("link.exclusive-claim", "the source's exposed port is closed to all but the recipient")
def _(stage: Stage) -> None:
    recipient = stage.container("recipient").address
    stage.host.engine.run(f"iptables -I DOCKER-USER -p tcp --dport {EXPOSED[0]} ! -s {recipient} -j DROP")


@pytest.mark.fact("link.source-running")
def test_link_to_what_does_not_run_on_the_default_bridge_is_refused(host: Host, act: Act, claim: Claim) -> None:
    """A link to a container that does not run, or is not on the default bridge, keeps the recipient from starting."""
    idle, elsewhere = host.container("idle", start=False), host.container("elsewhere", network=host.network("net"))
    recipient, other = (
        host.container(f"linked-to-{role}", links={source.name: "db"}, start=False)
        for role, source in (("idle", idle), ("elsewhere", elsewhere))
    )

    with act:
        not_running, not_there = (refusal(partial(host.start, container)) for container in (recipient, other))
        host.start(idle)
        running = refusal(partial(host.start, recipient))
        recipient.refresh()

    claim.show("docker start linked-to-idle", not_running)
    claim.show("docker start linked-to-elsewhere", not_there)
    claim.judge(
        holds("refusal of the first", _NOT_RUNNING in not_running, not_running, expected=_NOT_RUNNING),
        holds(
            "refusal of the second",
            any(words in not_there for words in _NOT_THERE),
            not_there,
            expected=" or ".join(_NOT_THERE),
        ),
        equal("refusal of the first, once its source runs", running, ""),
        equal("state of the first then", recipient.state, "running 0"),
    )


@tamper("link.source-running", "the engine ignores --link")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "links")


@strike("link.source-running", "the first one's source runs")
def _(stage: Stage) -> None:
    stage.host.start(stage.container("idle"))


@strike("link.source-running", "the second one's source is on the default bridge, too")
def _(stage: Stage) -> None:
    stage.host.connect(stage.host.predefined(), stage.container("elsewhere"))


@strike("link.source-running", "the first one's source is on no network when it runs")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.host.predefined(), stage.container("idle"))


@pytest.mark.fact("link.env")
@pytest.mark.shared
def test_link_sets_variables_in_the_recipient(host: Host, act: Act, claim: Claim) -> None:
    """With --link source:db, the recipient's environment holds DB_NAME and variables for each exposed port."""
    source = host.container("source")
    recipient = host.container("recipient", links={source.name: "db"})

    with act:
        (text,) = host.machine.read(f"/proc/{recipient.pid}/environ")
        environment = dict(entry.partition("=")[::2] for entry in (text or "").split("\0") if entry)

    wanted = {"DB_NAME": f"/{recipient.name}/db"}
    for port in EXPOSED:
        wanted |= {
            f"DB_PORT_{port}_TCP": f"tcp://{source.address}:{port}",
            f"DB_PORT_{port}_TCP_ADDR": source.address,
            f"DB_PORT_{port}_TCP_PORT": str(port),
            f"DB_PORT_{port}_TCP_PROTO": "tcp",
        }
    claim.show("docker exec recipient env", "\n".join(f"{name}={value}" for name, value in environment.items()))
    claim.judge(
        *(
            equal(f"variable {name}", environment.get(name, ""), value, vantage=recipient.name)
            for name, value in wanted.items()
        )
    )


@tamper("link.env", "the engine ignores --link", engines="<29")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "links")


@strike("link.env", "the daemon is told to keep the variables", engines=">=29")
def _(stage: Stage) -> None:
    host, linked = stage.host, [stage.container(role) for role in ("source", "recipient")]
    for container in linked:
        host.stop(container)
    host.engine.stop()
    host.engine.start(environment={"DOCKER_KEEP_DEPRECATED_LEGACY_LINKS_ENV_VARS": "1"})
    for container in linked:
        host.start(container)


def _hosts(container: Container) -> str:
    (text,) = container.engine.machine.read("/etc/hosts", root=f"/proc/{container.pid}/root")
    return text or ""


def _write_hosts(stage: Stage, container: Container, text: str) -> None:
    stage.host.machine.agent.call("write", path=f"/proc/{container.pid}/root/etc/hosts", text=text)
