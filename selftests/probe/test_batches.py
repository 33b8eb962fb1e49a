"""Batches run at the same time, and nothing of the agent stays in a container's namespace."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netfacts.engine import Engine
from netfacts.lab import Lab, of_machine
from netfacts.lab.wait import until
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.observe import links, processes
from netfacts.probe import Answer, ask, icmp, listen, resolve, tcp, udp
from netfacts.topology import Host

# A probe that waits as long as it is let, from a container, where `silence` holds.
SILENT_PORT = 7
SILENT_PROBE = {"kind": "udp", "address": "172.17.0.1", "port": SILENT_PORT, "timeout_s": 60.0}


@pytest.fixture
def silence(engine: Engine) -> Iterator[None]:
    """The host answers nothing on one UDP port. Undo: the rule is deleted."""
    spec = ["INPUT", "-p", "udp", "--dport", str(SILENT_PORT), "-j", "DROP"]
    engine.execute(["iptables", "-I", *spec]).checked("could not insert a rule", ProbeError)
    yield
    engine.execute(["iptables", "-D", *spec])


def test_probes_that_all_time_out_take_no_longer_than_one(lab: Lab, engine: Engine) -> None:
    """20 × 1 s, from two vantages, in tcp, udp and icmp: 20 s one after another."""
    engine.execute(["iptables", "-I", "INPUT", "-s", "198.51.100.20", "-j", "DROP"]).checked("drop", ProbeError)
    client, host = of_machine(lab["client"]), of_machine(lab["host"])
    try:
        started = time.monotonic()
        answers = ask(
            *(tcp(client, host.machine.address, 1000 + port, timeout_s=1.0) for port in range(8)),
            *(udp(client, host.machine.address, 2000 + port, timeout_s=1.0) for port in range(6)),
            *(icmp(host, "198.51.100.20", timeout_s=1.0) for _ in range(6)),
        )
        took_s = time.monotonic() - started
    finally:
        engine.execute(["iptables", "-D", "INPUT", "-s", "198.51.100.20", "-j", "DROP"])

    assert {answer.outcome for answer in answers} == {Outcome.TIMED_OUT}
    assert len(answers) == 20
    assert 1.0 <= took_s < 4.0


def test_answers_come_in_the_order_of_the_probes_from_all_vantages(host: Host) -> None:
    network = host.network("mynet")
    boxes = [host.container(f"box{number}", network=network) for number in range(3)]
    ports = [listen(box.vantage).port for box in boxes]
    pairs = [(a, b, port) for a in boxes for b, port in zip(boxes, ports, strict=True)]

    answers = ask(*(tcp(a.vantage, b.address, port) for a, b, port in pairs))

    assert [(answer.peer, answer.name) for answer in answers] == [(a.address, b.name) for a, b, _ in pairs]


def test_batch_larger_than_the_agent_s_gate_is_worked_off(lab: Lab) -> None:
    client, resolver = of_machine(lab["client"]), of_machine(lab["resolver"])
    port = listen(resolver).port

    answers = ask(*(tcp(client, "198.51.100.53", port, timeout_s=10.0) for _ in range(1200)))

    assert {answer.outcome for answer in answers} == {Outcome.CONNECTED}


def test_large_requests_and_answers_at_once_do_not_block_each_other(lab: Lab) -> None:
    """Either pipe to the agent holds 64 KiB: when both are full, each end must still read."""
    machine = lab["client"]
    text = "x" * 400_000

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: machine.execute(["cat"], text=text, timeout_s=30).out, range(24)))

    assert {len(answer) for answer in answers} == {len(text)}


def test_nothing_is_asked_when_there_are_no_probes() -> None:
    assert ask() == []


# -- release


def holders(inode: int) -> list[str]:
    """The processes below this one, its labs' included, that are in a network namespace or hold it open."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = []
    for pid in parents:
        if os.getpid() in _ancestors(pid, parents):
            with contextlib.suppress(OSError):
                folder = Path(f"/proc/{pid}")
                ends = {os.readlink(end) for end in (folder / "ns" / "net", *(folder / "fd").iterdir())}
                if f"net:[{inode}]" in ends:
                    found.append((folder / "comm").read_text().strip())
    return found


def _ancestors(pid: int, parents: dict[int, int]) -> list[int]:
    line = [pid]
    while line[-1] in parents:
        line.append(parents[line[-1]])
    return line


def test_worker_holds_the_namespace_while_it_is_needed(host: Host) -> None:
    """The control for the next: what looks for holders does find the worker."""
    box = host.container("box")
    listen(box.vantage)

    assert "nf-worker" in holders(box.netns)


def test_nothing_holds_a_container_s_namespace_when_the_host_is_closed(engine: Engine) -> None:
    host = Host(engine, check="release")
    network = host.network("mynet")
    boxes = [host.container(f"box{number}", network=network) for number in range(3)]
    ports = [listen(box.vantage).port for box in boxes]
    ask(*(tcp(a.vantage, b.address, port) for a in boxes for b, port in zip(boxes, ports, strict=True)))
    resolve(boxes[0].vantage, boxes[1].name)
    inodes = {box.netns for box in boxes}

    host.close()

    assert not [p for p in processes(engine.machine) if p.namespaces["net"] in inodes]
    assert [holders(inode) for inode in inodes] == [[], [], []]
    veths = [link.name for link in links(of_machine(engine.machine)) if link.kind == "veth" and link.name != "eth0"]
    assert veths == []


def test_release_ends_the_worker_of_a_stopped_container(host: Host) -> None:
    box = host.container("box")
    listen(box.vantage)
    inode = box.netns

    host.stop(box)

    assert holders(inode) == []


def test_stopping_a_container_leaves_the_listeners_of_those_that_share_its_namespace(host: Host) -> None:
    """A joined container ends; the namespace, and who listens in it, is still the other's."""
    owner = host.container("owner")
    joined = host.container("joined", mode=f"container:{owner.id}")
    port = listen(owner.vantage).port

    host.stop(joined)
    (answer,) = ask(tcp(host.vantage, owner.address, port))

    assert answer.outcome is Outcome.CONNECTED


# -- gone


def test_vantage_whose_container_is_gone_is_a_probe_error_and_no_verdict(engine: Engine) -> None:
    host = Host(engine, check="gone")
    box = host.container("box")
    vantage = box.vantage
    host.close()

    for attempt in (
        lambda: ask(icmp(vantage, "172.17.0.1")),
        lambda: resolve(vantage, "box"),
        lambda: listen(vantage),
        lambda: links(vantage),
    ):
        with pytest.raises(ProbeError) as caught:
            attempt()
        assert not isinstance(caught.value, AssertionError)
        assert "No such file" in caught.value.returned or "no such" in str(caught.value).lower()


@pytest.mark.usefixtures("silence")
def test_container_that_goes_while_a_probe_is_under_way_is_a_probe_error(engine: Engine) -> None:
    host = Host(engine, check="going")
    box = host.container("box")
    vantage = box.vantage
    caught: list[BaseException | list[Answer]] = []

    def wait_long() -> None:
        try:
            # 60 s, if the container stays.
            caught.append(ask(udp(vantage, "172.17.0.1", SILENT_PORT, timeout_s=60.0)))
        except ProbeError as error:
            caught.append(error)

    asking = threading.Thread(target=wait_long)
    asking.start()
    until(
        lambda: [p for p in processes(engine.machine) if p.namespaces["net"] == box.netns and p.name == "nf-worker"],
        what="the worker in the container",
        timeout_s=10,
    )
    host.close()
    asking.join(15)

    assert not asking.is_alive()
    (error,) = caught
    assert isinstance(error, ProbeError)
    assert "released" in error.returned


@pytest.mark.usefixtures("silence")
def test_worker_that_dies_costs_its_probe_alone(host: Host) -> None:
    """The kernel may kill it for want of memory: the next question gets a new one."""
    box = host.container("box")
    asked = box.vantage.machine.agent.submit("probe", net=box.vantage.net, probes=[SILENT_PROBE])
    worker = until(
        lambda: [p for p in processes(host.machine) if p.namespaces["net"] == box.netns and p.name == "nf-worker"],
        what="the worker in the container",
        timeout_s=10,
    )[0]

    host.machine.agent.call("signal", pid=worker.pid, signal=9)

    with pytest.raises(ProbeError) as caught:
        host.machine.agent.settle(asked, "probe", timeout_s=20)
    assert "the worker in this namespace ended" in caught.value.returned
    (answer,) = ask(icmp(box.vantage, "172.17.0.1"))
    assert answer.outcome is Outcome.CONNECTED
