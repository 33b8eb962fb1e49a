"""The agent sees what a process in the container sees: its probes and `docker exec` with busybox come to the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from netfacts.engine import Engine
from netfacts.lab import of_process
from netfacts.model.verdict import Outcome
from netfacts.probe import Answer, Resolution, ask, icmp, listen, resolve, tcp
from netfacts.run import Finished
from netfacts.topology import Container, Host


@dataclass(frozen=True)
class Pair:
    """Two containers of one network; `port` is open in the second, and `closed` is not."""

    kind: str
    a: Container
    b: Container
    port: int
    closed: int = 9


@pytest.fixture(scope="module")
def built(engine: Engine) -> Iterator[Host]:
    """A host that keeps what is built for the whole module."""
    host = Host(engine, check="agreement")
    yield host
    host.close()


@pytest.fixture(scope="module", params=["docker0", "user"])
def pair(request: pytest.FixtureRequest, built: Host) -> Pair:
    network = built.network("mynet") if request.param == "user" else None
    a = built.container(f"a-{request.param}", network=network)
    b = built.container(f"b-{request.param}", network=network)
    return Pair(request.param, a, b, listen(b.vantage, name="listener-b").port)


def connected(container: Container, address: str, port: int) -> Outcome:
    """What busybox nc in the container makes of a port."""
    done = container.run("nc", "-w", "2", address, str(port), "-e", "true")
    return Outcome.CONNECTED if done.exit_status == 0 else told(done)


def told(done: Finished) -> Outcome:
    """How a busybox program says that it failed."""
    words = {
        "refused": Outcome.REFUSED,
        "timed out": Outcome.TIMED_OUT,
        "unreachable": Outcome.UNREACHABLE,
        "No route": Outcome.UNREACHABLE,
        "bad address": Outcome.NAME_NOT_FOUND,
        "NXDOMAIN": Outcome.NAME_NOT_FOUND,
    }
    for word, outcome in words.items():
        if word in done.out:
            return outcome
    raise AssertionError(f"busybox said {done.out!r} and ended with {done.exit_status}")


def looked_up(container: Container, name: str) -> tuple[Outcome, list[str]]:
    """What busybox nslookup in the container makes of a name."""
    done = container.run("nslookup", "-type=a", name)
    if done.exit_status:
        return told(done), []
    answer = done.out.partition("\n\n")[2]
    return Outcome.CONNECTED, re.findall(r"^Address(?: \d+)?: ([0-9.]+)$", answer, flags=re.MULTILINE)


def one(answers: list[Answer]) -> Answer:
    (answer,) = answers
    return answer


def found(container: Container, name: str) -> Resolution:
    (resolution,) = resolve(container.vantage, name)
    return resolution


@pytest.mark.parametrize("port", ["port", "closed"])
def test_tcp_probe_and_nc_agree(pair: Pair, port: str) -> None:
    number: int = getattr(pair, port)

    agent = one(ask(tcp(pair.a.vantage, pair.b.address, number))).outcome

    assert agent is connected(pair.a, pair.b.address, number)
    assert agent is (Outcome.CONNECTED if port == "port" else Outcome.REFUSED)


def test_listener_sees_the_container_s_own_address_from_both(pair: Pair) -> None:
    said = pair.a.run("sh", "-c", f"echo hello | nc -w 2 {pair.b.address} {pair.port}")

    agent = one(ask(tcp(pair.a.vantage, pair.b.address, pair.port)))

    assert agent.peer == agent.local == pair.a.address
    assert json.loads(said.out) == {
        "name": "listener-b",
        "echo": "hello",
        "peer": pair.a.address,
        "local": pair.b.address,
    }
    assert agent.name == "listener-b"


def test_icmp_probe_and_ping_agree(pair: Pair) -> None:
    agent = one(ask(icmp(pair.a.vantage, pair.b.address)))
    ping = pair.a.run("ping", "-c", "1", "-W", "2", pair.b.address)

    assert (agent.outcome, ping.exit_status) == (Outcome.CONNECTED, 0)
    assert agent.source == pair.b.address
    assert f"ttl={agent.ttl} " in ping.out


def test_resolution_of_a_container_s_name_agrees(pair: Pair) -> None:
    agent = found(pair.a, pair.b.name)
    outcome, addresses = looked_up(pair.a, pair.b.name)
    ping = pair.a.run("ping", "-c", "1", "-W", "2", pair.b.name)

    assert (agent.outcome, list(agent.addresses)) == (outcome, addresses)
    assert (ping.exit_status == 0) is (agent.outcome is Outcome.CONNECTED)
    assert agent.outcome is (Outcome.CONNECTED if pair.kind == "user" else Outcome.NAME_NOT_FOUND)


@pytest.mark.parametrize("name", ["no-such-container", "no.such.example"])
def test_resolution_of_an_unknown_name_agrees(pair: Pair, name: str) -> None:
    agent = found(pair.a, name)

    assert agent.outcome is looked_up(pair.a, name)[0] is Outcome.NAME_NOT_FOUND
    assert told(pair.a.run("ping", "-c", "1", "-W", "2", name)) is agent.outcome


def test_resolution_of_a_name_of_the_lab_agrees(pair: Pair) -> None:
    """What the engine does not know it asks the host's server, here the lab's."""
    agent = found(pair.a, "client.lab")

    assert (agent.outcome, list(agent.addresses)) == looked_up(pair.a, "client.lab")
    assert agent.addresses == ("198.51.100.20",)


def test_resolution_of_the_own_name_is_that_of_etc_hosts(pair: Pair) -> None:
    hostname = pair.a.run("hostname").out.strip()
    hosts = pair.a.run("cat", "/etc/hosts").out

    agent = found(pair.a, hostname)

    assert agent.addresses == (pair.a.address,)
    assert re.search(rf"^{re.escape(pair.a.address)}\s+{hostname}$", hosts, flags=re.MULTILINE)


@pytest.mark.parametrize("path", ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"])
def test_files_read_by_the_agent_are_those_that_the_container_reads(pair: Pair, path: str) -> None:
    machine = pair.a.engine.machine

    (text,) = machine.read(path, root=f"/proc/{pair.a.pid}/root")

    assert text == pair.a.run("cat", path).out
    assert text


def test_drop_between_networks_is_a_time_out_for_both(built: Host, pair: Pair) -> None:
    other = built.container(f"other-{pair.kind}", network=built.network(f"other-{pair.kind}"))
    port = listen(other.vantage).port

    agent = one(ask(tcp(pair.a.vantage, other.address, port, timeout_s=1.0))).outcome

    assert agent is connected(pair.a, other.address, port) is Outcome.TIMED_OUT


def test_container_without_a_network_reaches_nothing_for_both(built: Host, pair: Pair) -> None:
    alone = built.container(f"alone-{pair.kind}", mode="none")

    agent = one(ask(tcp(alone.vantage, pair.b.address, pair.port)))

    assert agent.outcome is connected(alone, pair.b.address, pair.port) is Outcome.UNREACHABLE


def test_links_of_the_container_are_the_same_for_both(pair: Pair) -> None:
    """The vantage is the container's network namespace, by its inode."""
    inside = pair.a.run("ls", "-iL", "/proc/self/ns/net").out.split()[0]
    vantage = of_process(pair.a.engine.machine, pair.a.pid, "a")

    seen = pair.a.engine.machine.execute(["stat", "-Lc", "%i", "/proc/self/ns/net"], net=vantage.net).out.strip()

    assert seen == inside == str(pair.a.netns)
