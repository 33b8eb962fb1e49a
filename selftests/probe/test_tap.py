"""Taps and the state of a machine, in a real lab: what passed, within bounds, and in time where nobody answers."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from netfacts.engine import Engine
from netfacts.lab import Lab, of_machine
from netfacts.lab.wait import until
from netfacts.model.verdict import Outcome
from netfacts.observe import state, tap
from netfacts.observe.tap import Recording, Taps
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host

_PATIENCE_S = 20.0


def read(taps: Taps, since: float) -> Recording:
    """What has passed since then."""
    return taps.read(since, deadline=time.monotonic() + _PATIENCE_S)


def test_tap_has_a_packet_wherever_it_passed(host: Host, lab: Lab) -> None:
    network = host.network("mynet")
    box = host.container("box", network=network, publish={"8080/tcp": None})
    listen(box.vantage, 8080)
    client = of_machine(lab["client"])
    taps = Taps(lab)
    began = time.monotonic()

    (answer,) = ask(tcp(client, host.address, box.host_port(8080), nonce="f00dcafe"))

    assert answer.outcome is Outcome.CONNECTED
    recording = read(taps, began)
    assert recording.remarks == ()
    carrying = [frame for frame in recording.frames if b"f00dcafe" in frame.data]
    asked = [frame for frame in carrying if frame.packet.destination_port in (8080, box.host_port(8080))]
    places = [(frame.machine, frame.interface, frame.way) for frame in asked]
    assert places[:3] == [("client", "eth0", "out"), ("host", "eth0", "in"), ("host", network.bridge, "out")]
    (veth,) = places[3:]
    assert veth[1].startswith("veth")
    # As the host's address it went in, and as the container's it came out.
    assert [frame.packet.destination for frame in asked] == [host.address] * 2 + [box.address] * 2
    assert [frame.at for frame in recording.frames] == sorted(frame.at for frame in recording.frames)
    assert f"host {network.bridge}" in recording.text(1000)


def test_tap_has_nothing_of_what_passed_before(host: Host, lab: Lab) -> None:
    client = of_machine(lab["client"])
    taps = Taps(lab)
    ask(icmp(client, host.address, nonce="too-early"))
    began = time.monotonic()
    ask(icmp(client, host.address, nonce="in-time"))

    frames = read(taps, began).frames

    assert any(b"in-time" in frame.data for frame in frames)
    assert not any(b"too-early" in frame.data for frame in frames)


def test_machine_with_another_clock_is_reckoned_by_it(host: Host, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine reached over the network may be minutes ahead; here it is this process that is behind."""
    client = of_machine(lab["client"])
    taps = Taps(lab)
    ask(icmp(client, host.address, nonce="too-early"))
    wall, early = time.time, time.monotonic()
    monkeypatch.setattr(tap.time, "time", lambda: wall() - 500)
    # Longer than the error of the estimate, which is that of the way there and back.
    until(lambda: time.monotonic() > early + 0.5, what="half a second to pass", timeout_s=5)
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 0.5, what="half a second to pass", timeout_s=5)
    ask(icmp(client, host.address, nonce="late-enough"))

    recording = read(taps, began)

    assert not any(b"too-early" in frame.data for frame in recording.frames)
    (first, *_) = [frame.at - recording.began for frame in recording.frames if b"late-enough" in frame.data]
    assert 0.4 < first < 5


def test_tap_is_bounded_and_says_so(host: Host, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "_LIMIT", 5)
    monkeypatch.setattr(tap, "SNAP_BYTES", 60)
    client = of_machine(lab["client"])
    taps = Taps(lab)
    began = time.monotonic()

    for number in range(8):
        ask(icmp(client, host.address, nonce=f"ping-{number}"))

    recording = read(taps, began)
    of_client = [frame for frame in recording.frames if frame.machine == "client"]
    assert len(of_client) == 5
    assert {len(frame.data) for frame in of_client if frame.packet.protocol == "icmp"} == {60}
    assert all(frame.length > 60 for frame in of_client if frame.packet.protocol == "icmp")
    assert "client: packets before its last 5 were not kept" in recording.remarks
    assert recording.text(2).splitlines()[-3] == f"… {len(recording.frames) - 2} packets before these"


def test_loopback_s_packets_are_there_once(host: Host, lab: Lab) -> None:
    taps = Taps(lab)
    began = time.monotonic()

    ask(icmp(host.vantage, "127.0.0.1", nonce="once-and-no-more"))

    seen = [frame for frame in read(taps, began).frames if b"once-and-no-more" in frame.data]
    assert [(frame.interface, frame.way) for frame in seen] == [("lo", "in"), ("lo", "in")]


def test_dead_engine_s_firewall_is_read_all_the_same(own: tuple[Lab, Engine]) -> None:
    _, engine = own
    pieces = [piece.settle(time.monotonic() + _PATIENCE_S) for piece in state.ask(engine, {})]
    alive = {piece.title: piece.text for piece in pieces}

    engine.kill()

    pieces = [piece.settle(time.monotonic() + _PATIENCE_S) for piece in state.ask(engine, {})]
    dead = {piece.title: piece.text for piece in pieces}
    assert list(dead) == list(alive)
    assert "-j MASQUERADE" in alive["iptables-save -c on host"]
    # With this machine's own program, if it has one.
    wanted = "-j MASQUERADE" if shutil.which("iptables-save") else "can't be had: "
    assert wanted in dead["iptables-save -c on host"]
    assert dead["links on host"].splitlines()[0] == "# ip -br address"
    assert "docker0" in dead["links on host"]
    assert "API listen on" in dead["end of the engine's log on host"]


def test_nothing_is_waited_for_beyond_the_deadline(own: tuple[Lab, Engine]) -> None:
    lab, engine = own
    taps = Taps(lab)
    began = time.monotonic()
    ask(icmp(of_machine(lab["resolver"]), lab["host"].address))
    os.kill(lab["host"].agent.pid, signal.SIGSTOP)
    try:
        deadline = time.monotonic() + 1
        pieces = state.ask(engine, {"box": 1})
        recording = taps.read(began, deadline=deadline)
        settled = [piece.settle(deadline) for piece in pieces]
        took = time.monotonic() - deadline
    finally:
        os.kill(lab["host"].agent.pid, signal.SIGCONT)

    assert took < 1
    assert "host: its packets can't be had: no answer in time" in recording.remarks
    assert {frame.machine for frame in recording.frames} == {"resolver"}
    assert {part for piece in settled for part in piece.text.splitlines() if part and not part.startswith("#")} == {
        "can't be had: no answer in time"
    }
