"""Without --live-restore containers stop with their engine: what runs again afterwards, and what is as it was."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper, without
from fixtures.takeover import Takeover
from netfacts.lab import Vantage
from netfacts.model.lab import LAN
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, output, rules, serving
from netfacts.probe import ask, icmp, listen, resolve, start_flow, stop_flows, tcp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds, seen, source_is
from suites.carry.flows import account

pytestmark = pytest.mark.takeover

_PORT, _BLOCKED = 8080, 8081
# Sends each line back, for as many connections as come.
_ECHO = ("nc", "-ll", "-p", str(_PORT), "-e", "cat")


@pytest.mark.fact("carry.restart-policy")
def test_policy_decides_what_runs_again(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """Containers run again with always, and with unless-stopped if not stopped by hand; without a policy they don't."""
    boxes = [host.container(policy, restart=policy) for policy in ("always", "unless-stopped")]
    by_hand = [host.container(f"{policy}-by-hand", restart=policy) for policy in ("always", "unless-stopped")]
    boxes += [host.container("no"), *by_hand]
    for box in by_hand:
        host.stop(box)
    takeover()

    with act:
        running = {box.name.rpartition("-")[0]: _runs(box) for box in boxes}
        claim.show("docker ps -a", "\n".join(f"{box.name}: {box.state}" for box in boxes))

    expected = {
        "always": True,
        "unless-stopped": True,
        "no": False,
        "always-by-hand": True,
        "unless-stopped-by-hand": False,
    }
    claim.judge(*(equal(f"{role} runs", running[role], expected[role]) for role in expected))


def _runs(container: Container) -> bool:
    container.refresh()
    return container.pid != 0


@tamper("carry.restart-policy", "the engine ignores --restart")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "restart")


@tamper("carry.restart-policy", "the engine takes unless-stopped for always")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"restart": request["restart"] and "always"}


@pytest.mark.fact("carry.restart-on-failure")
def test_on_failure_takes_the_end_of_its_engine_for_none(
    host: Host, act: Act, claim: Claim, takeover: Takeover
) -> None:
    """A container with on-failure, which its engine kills as it ends, does not run again when that comes back."""
    box = host.container("box", restart="on-failure")
    takeover()

    with act:
        claim.show("docker ps -a, before it is asked again", f"{box.name}: {box.state}")
        runs = _runs(box)

    claim.judge(equal(f"{box.name} runs", runs, False))


@tamper("carry.restart-on-failure", "the engine ignores --restart")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "restart")


@pytest.mark.fact("carry.restart-published")
def test_published_port_answers_again(host: Host, client: Vantage, act: Act, claim: Claim, takeover: Takeover) -> None:
    """A connection to a published port is cut when the engine ends, and the port answers again when it is back.

    client ── lan ── host :8080 ── docker0 ── [web :8080]
    """
    web = host.container("web", publish={f"{_PORT}/tcp": _PORT}, command=_ECHO, restart="always")
    serving(web.vantage, _PORT)
    held = start_flow(client, host.address, _PORT)
    anew = start_flow(client, host.address, _PORT, protocol="connections")
    absence = takeover()

    with act:
        cut, served = stop_flows(held, anew)

    account(claim, absence, {"published port, asked from outside by new connections": served})
    claim.judge(seen(cut.answer, Outcome.RESET, Outcome.TIMED_OUT), seen(served.answer, Outcome.CONNECTED))


flags("carry.restart-published", "--live-restore")


@strike("carry.restart-published", "the port is no longer published")
def _(stage: Stage) -> None:
    stage.unpublish(stage.container("web"))


@pytest.mark.fact("carry.restart-address")
def test_fixed_address_is_kept(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """A container with --ip has its address again, and answers there."""
    network = host.network("net", subnet="10.77.8.0/24")
    fixed = "10.77.8.77"
    first = host.container("first", network=network, restart="always")
    box = host.container("box", network=network, address=fixed, restart="always")
    takeover(again=[first, box])

    with act:
        own = interface(box.vantage, "eth0").ipv4
        (answer,) = ask(icmp(first.vantage, fixed))
        claim.show("ip -4 addr, in the container", output(box.vantage, "ip", "-4", "addr"))

    claim.judge(
        equal("its addresses", [str(one.ip) for one in own], [fixed], vantage=box.name), seen(answer, Outcome.CONNECTED)
    )


@tamper("carry.restart-address", "the engine ignores --ip")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "address")


@pytest.mark.fact("carry.restart-names")
def test_names_resolve_again(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """Names and aliases on a user-defined network, and links on the default bridge, resolve to the addresses of now.

    web (alias shop), box ── net     store ◄── link, alias till ── clerk ── bridge
    """
    network = host.network("net")
    web = host.container("web", network=network, aliases=["shop"], restart="always")
    box = host.container("box", network=network, restart="always")
    store = host.container("store", restart="always")
    clerk = host.container("clerk", links={store.name: "till"}, restart="always")
    takeover(again=[web, box, store, clerk])

    with act:
        found = [
            *resolve(box.vantage, "shop", web.name),
            *resolve(web.vantage, box.name),
            *resolve(clerk.vantage, "till", store.name),
        ]
        claim.show(f"/etc/hosts in {clerk.name}", _hosts(clerk))

    addresses = {one.name: one.address for one in (web, box, store)} | {"shop": web.address, "till": store.address}
    claim.judge(
        *(
            equal(f"addresses of {one.name}", one.addresses, (addresses[one.name],), vantage=one.vantage)
            for one in found
        )
    )


def _hosts(container: Container) -> str:
    (text,) = container.engine.machine.read("/etc/hosts", root=f"/proc/{container.pid}/root")
    return text or ""


@strike("carry.restart-names", "the container is connected anew, without its alias")
def _(stage: Stage) -> None:
    network, web = stage.network("net"), stage.container("web")
    stage.host.disconnect(network, web)
    stage.host.connect(network, web)


@strike("carry.restart-names", "the linked container's line in /etc/hosts names another address")
def _(stage: Stage) -> None:
    clerk, store = stage.container("clerk"), stage.container("store")
    text = _hosts(clerk).replace(store.address, str(LAN.ipv4[99]))
    stage.host.machine.agent.call("write", path=f"/proc/{clerk.pid}/root/etc/hosts", text=text)


@pytest.mark.fact("carry.restart-docker-user")
def test_rules_of_an_administrator_stay_first(
    host: Host, client: Vantage, act: Act, claim: Claim, takeover: Takeover
) -> None:
    """What an administrator put into DOCKER-USER is still there, and still before Docker's own rules.

    client ── lan ── host :8080, :8081 ── docker0 ── [web]
    """
    publish = {f"{port}/tcp": port for port in (_PORT, _BLOCKED)}
    web = host.container("web", publish=publish, restart="always")
    for port in (_PORT, _BLOCKED):
        listen(web.vantage, port)
    before = ask(*(tcp(client, host.address, port) for port in (_PORT, _BLOCKED)))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in before))
    own = f"-i eth0 -p tcp -m tcp --dport {_BLOCKED} -j DROP"
    host.engine.run(f"iptables -I DOCKER-USER {own}")
    takeover(again=[web])

    with act:
        open_port, blocked = ask(*(tcp(client, host.address, port, timeout_s=1.0) for port in (_PORT, _BLOCKED)))
        found = rules(host.engine)
        claim.show("iptables -S", "\n".join(rule.text for rule in found.rules if rule.table == "filter"))

    claim.judge(
        seen(open_port, Outcome.CONNECTED),
        seen(blocked, Outcome.TIMED_OUT),
        equal(
            "times that the rule is in DOCKER-USER",
            [r.spec for r in found.of("filter", "DOCKER-USER")].count(tuple(own.split())),
            1,
        ),
        equal("first target of FORWARD", found.of("filter", "FORWARD")[0].target, "DOCKER-USER"),
    )


@strike("carry.restart-docker-user", "DOCKER-USER is flushed")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -F DOCKER-USER")


@strike("carry.restart-docker-user", "another rule comes before DOCKER-USER")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I FORWARD -i eth0 -j ACCEPT")


@pytest.mark.fact("carry.restart-isolation")
def test_networks_are_still_apart(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """Two containers of a user-defined network reach each other again, and one of another network still does not.

    web ─┐
    box ─┴─ near     other ── far
    """
    near, far = host.network("near"), host.network("far")
    web, box = (host.container(role, network=near, restart="always") for role in ("web", "box"))
    other = host.container("other", network=far, restart="always")
    listen(web.vantage, _PORT)
    takeover(again=[web, box, other])

    with act:
        peer, stranger = ask(*(tcp(one.vantage, web.address, _PORT, timeout_s=1.0) for one in (box, other)))
        claim.show("iptables -S", host.engine.execute(["iptables", "-S"]).out)

    claim.judge(seen(peer, Outcome.CONNECTED), source_is(peer, box.address), seen(stranger, Outcome.TIMED_OUT))


@strike("carry.restart-isolation", "the firewall accepts whatever is forwarded")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -j ACCEPT")
    stage.host.engine.run("iptables -t raw -I PREROUTING -j ACCEPT")


@strike("carry.restart-isolation", "the network's bridge is down")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "set", index=netlink.index(stage.network("near").bridge), state="down")


@pytest.mark.fact("carry.restart-macs")
def test_macs_differ(host: Host, act: Act, claim: Claim, takeover: Takeover) -> None:
    """All running containers of a network have MACs of their own, also where one has got another's former address."""
    network = host.network("net")
    first, second = (host.container(role, network=network, restart="always") for role in ("first", "second"))
    host.stop(first)
    heir = host.container("heir", network=network, restart="always")
    boxes = [first, second, heir]
    takeover(again=boxes)

    with act:
        ends = {box.name: interface(box.vantage, "eth0") for box in boxes}
        answers = ask(*(icmp(here.vantage, there.address) for here in boxes for there in boxes if here is not there))
        claim.show("MACs and addresses", "\n".join(f"{name}: {end.mac} {end.ipv4}" for name, end in ends.items()))

    macs = [end.mac for end in ends.values()]
    claim.judge(
        holds("MACs", len(set(macs)) == len(boxes), macs, expected=f"{len(boxes)} different ones"),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
    )


@strike("carry.restart-macs", "one container has got another's MAC")
def _(stage: Stage) -> None:
    first, heir = stage.container("first"), stage.container("heir")
    mac = interface(heir.vantage, "eth0").mac
    first.vantage.run(f"ip link set eth0 address {mac}")
