"""Readers against a real engine: what was built is what is read."""

from __future__ import annotations

import sys
from ipaddress import ip_interface, ip_network
from pathlib import Path

import pytest

from netfacts.engine import Engine
from netfacts.lab import Lab, of_machine
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.observe import (
    Capture,
    capture,
    links,
    namespaces,
    nft_ruleset,
    processes,
    routes,
    rules,
    serving,
    sockets,
)
from netfacts.observe.infra import infra
from netfacts.probe import ask, icmp, listen, run_program, tcp, udp
from netfacts.topology import Host


def test_links_of_a_container_and_its_bridge_belong_together(host: Host) -> None:
    network = host.network("mynet")
    box = host.container("box", network=network)

    lo, eth0 = links(box.vantage)
    on_host = {link.index: link for link in links(host.vantage)}

    assert (lo.name, eth0.name, eth0.kind, eth0.up, eth0.carrier) == ("lo", "eth0", "veth", True, True)
    assert eth0.ipv4 == (ip_interface(f"{box.address}/{ip_network(network.subnet).prefixlen}"),)
    assert eth0.peer_index is not None
    peer = on_host[eth0.peer_index]
    assert (peer.kind, peer.master, peer.peer_index) == ("veth", network.bridge, eth0.index)
    bridge = next(link for link in on_host.values() if link.name == network.bridge)
    assert (bridge.kind, bridge.mac != "", str(bridge.ipv4[0].ip)) == ("bridge", True, network.gateway)


def test_links_of_a_container_without_network_are_its_loopback_alone(host: Host) -> None:
    alone = host.container("alone", mode="none")

    (lo,) = links(alone.vantage)

    assert lo.name == "lo"
    assert routes(alone.vantage) == []


def test_routes_of_a_container_lead_to_its_gateway(host: Host) -> None:
    network = host.network("mynet")
    box = host.container("box", network=network)

    default, connected = routes(box.vantage)

    assert (default.destination, default.gateway, default.device) == ("default", network.gateway, "eth0")
    assert (connected.destination, connected.source) == (network.subnet, box.address)
    assert any(route.device == "eth0" for route in routes(host.vantage, family=6))


def test_rules_change_with_what_is_published_and_back(engine: Engine) -> None:
    before = rules(engine)
    host = Host(engine, check="rules")
    web = host.container("web", publish={"8080/tcp": 18080})

    dnat = [rule for rule in rules(engine).of("nat", "DOCKER") if rule.target == "DNAT"]
    host.close()

    assert len(dnat) == 1
    assert "--dport 18080 " in dnat[0].text
    assert dnat[0].spec[-1] == f"{web.address}:8080"
    assert set(rules(engine).rules) == set(before.rules)
    assert before.chains["filter", "FORWARD"] == "DROP"


def test_rule_is_deleted_by_the_spec_that_was_read(engine: Engine) -> None:
    """What iptables-save printed is what `iptables -D` takes, quotes and all."""
    comment = 'it\'s "quoted" \\ and long'
    engine.execute(["iptables", "-A", "DOCKER-USER", "-m", "comment", "--comment", comment, "-j", "RETURN"])

    rule = next(one for one in rules(engine).of("filter", "DOCKER-USER") if comment in one.spec)
    done = engine.execute(["iptables", "-D", "DOCKER-USER", *rule.spec])

    assert done.exit_status == 0, done.err
    assert not [one for one in rules(engine).of("filter", "DOCKER-USER") if comment in one.spec]


def test_rules_of_both_families_are_read(engine: Engine) -> None:
    assert rules(engine, family=6).of("nat", "NONE") == []
    assert "MASQUERADE" in [rule.target for rule in rules(engine).of("nat", "POSTROUTING")]


def test_nft_ruleset_is_the_same_firewall(engine: Engine) -> None:
    entries = nft_ruleset(engine)

    chains = {(entry["chain"]["table"], entry["chain"]["name"]) for entry in entries if "chain" in entry}
    saved = set(rules(engine).chains)
    assert {(table, chain) for table, chain in saved if chain.startswith("DOCKER")} <= chains
    count = sum("rule" in entry and entry["rule"]["family"] == "ip" for entry in entries)
    assert count == len(rules(engine).rules)


def test_processes_of_the_machine_are_its_own_alone(engine: Engine, host: Host) -> None:
    box = host.container("box")

    found = {process.pid: process for process in processes(engine.machine)}

    assert found[1].name.startswith("nf-")
    (dockerd,) = processes(engine.machine, name="dockerd")
    assert (dockerd.pid, dockerd.parent) == (engine.pid, 1)
    assert dockerd.option("--none") == ""
    assert len(processes(engine.machine, name="containerd")) == 1
    assert found[box.pid].argv == ("sleep", "1d")
    assert found[box.pid].namespaces["net"] == box.netns != dockerd.namespaces["net"]


def test_namespaces_of_containers_differ_unless_they_are_joined(engine: Engine, host: Host) -> None:
    owner = host.container("owner")
    joined = host.container("joined", mode=f"container:{owner.id}")
    open_to_host = host.container("open", mode="host")

    of = {role: namespaces(engine.machine, box.pid) for role, box in (("o", owner), ("j", joined), ("h", open_to_host))}

    assert of["o"]["net"] == of["j"]["net"] != of["h"]["net"]
    assert of["h"]["net"] == namespaces(engine.machine, 1)["net"]
    assert len({of[role]["pid"] for role in of}) == len({of[role]["mnt"] for role in of}) == 3


def test_namespaces_of_a_process_that_has_ended_are_a_probe_error(engine: Engine) -> None:
    with pytest.raises(ProbeError, match="process 32767 has ended"):
        namespaces(engine.machine, 32767)


def test_sockets_of_a_container_name_their_owner(host: Host) -> None:
    web = host.container("web", command=["httpd", "-f", "-p", "8080", "-h", "/www"])
    socket = serving(web.vantage, 8080)

    assert (socket.protocol, socket.state, socket.pids) == ("tcp", "LISTEN", (web.pid,))
    assert [one.port for one in sockets(web.vantage)] == [8080]


def test_sockets_of_the_host_name_the_proxy_that_holds_a_published_port(host: Host) -> None:
    web = host.container("web", publish={"8080/tcp": None})
    port = web.host_port(8080)
    proxies = {process.pid: process for process in processes(host.machine, name="docker-proxy")}

    held = [socket for socket in sockets(host.vantage) if socket.port == port]

    assert held
    for socket in held:
        (pid,) = set(socket.pids) & set(proxies)
        assert proxies[pid].option("-host-port") == str(port)
        assert proxies[pid].option("-container-ip") == web.address


def test_sockets_show_connections_when_asked_for_all(host: Host, lab: Lab) -> None:
    port = listen(host.vantage).port
    ask(tcp(of_machine(lab["client"]), host.address, port))

    every = [socket for socket in sockets(host.vantage, listening=False) if socket.port == port]
    listening = [socket for socket in sockets(host.vantage) if socket.port == port]

    assert [socket.state for socket in listening] == ["LISTEN"]
    assert len(every) >= len(listening)


def test_nobody_serving_is_a_probe_error_that_says_where(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netfacts.observe.process._SERVING_S", 0.1)
    box = host.container("box")

    with pytest.raises(ProbeError, match=f"a listener on tcp port 8080 of {box.name}"):
        serving(box.vantage, 8080)


# -- captures


def test_capture_has_the_nonce_on_every_interface_that_it_passes(host: Host, lab: Lab) -> None:
    network = host.network("mynet")
    box = host.container("box", network=network, publish={"8080/tcp": None})
    listen(box.vantage, 8080)
    client = of_machine(lab["client"])

    with (
        capture(client, "eth0") as outside,
        capture(host.vantage, network.bridge) as bridge,
        capture(box.vantage, "eth0") as inside,
    ):
        (answer,) = ask(tcp(client, host.address, box.host_port(8080), nonce="f00dcafe"))

    assert answer.outcome is Outcome.CONNECTED
    sent, came = outside.carrying("f00dcafe")
    assert (sent.way, came.way) == ("out", "in")
    assert (sent.source, sent.destination_port) == ("198.51.100.20", box.host_port(8080))
    (arrived, _) = inside.carrying("f00dcafe")
    assert (arrived.source, arrived.destination, arrived.destination_port) == (answer.peer, box.address, 8080)
    assert bridge.carrying("f00dcafe")
    assert inside.carrying("another") == []
    assert inside.seen == len(inside.packets)


def test_capture_shows_pings_and_datagrams_as_lines(host: Host, lab: Lab) -> None:
    client = of_machine(lab["client"])
    port = listen(host.vantage, protocol="udp").port

    with capture(client, "eth0") as caught:
        ask(icmp(client, host.address, nonce="ping-nonce"), udp(client, host.address, port, nonce="udp-nonce"))

    (request, reply) = caught.carrying("ping-nonce")
    assert (request.protocol, reply.source) == ("icmp", host.address)
    assert (
        f"out udp   198.51.100.20:{caught.carrying('udp-nonce')[0].source_port} > 198.51.100.10:{port}" in caught.text()
    )
    assert caught.text([]) == "no packet"


def test_capture_that_lost_packets_is_a_probe_error_and_no_empty_answer(
    host: Host, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy interface the packets that a check looks for may have been pushed out by others'."""
    monkeypatch.setattr(sys.modules[Capture.__module__], "_LIMIT", 4)
    client = of_machine(lab["client"])
    lossy = capture(client, "eth0")

    def ping() -> None:
        with lossy:
            ask(icmp(client, host.address, nonce="sought"))
            for _ in range(3):
                ask(icmp(client, host.address, nonce="other"))

    with pytest.raises(ProbeError, match="the capture lost packets") as caught:
        ping()

    assert lossy.carrying("sought") == []
    assert lossy.seen >= 8
    assert caught.value.where == "client, eth0"
    assert caught.value.returned == f"{lossy.seen} passed, of which 4 were kept"


def test_capture_knows_what_the_kernel_had_no_room_for(host: Host) -> None:
    """Nobody reads while much passes at once: here because the agent's worker, which does both, is stopped."""
    port = listen(host.vantage, protocol="udp").port
    burst = f"dd if=/dev/zero bs=60000 count=300 >/dev/udp/127.0.0.1/{port}"
    lossy = capture(host.vantage, "lo")

    def send() -> None:
        with lossy:
            host.vantage.run(f"bash -c 'kill -STOP $PPID; {burst}; kill -CONT $PPID'")

    with pytest.raises(ProbeError, match="the capture lost packets"):
        send()

    # Fewer than a capture keeps, so that it has pushed none of them out.
    assert len(lossy.packets) < 600 <= lossy.seen < sys.modules[Capture.__module__]._LIMIT


def test_capture_that_lost_packets_hides_no_other_error(host: Host, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[Capture.__module__], "_LIMIT", 1)
    client = of_machine(lab["client"])

    def ping() -> None:
        with capture(client, "eth0"):
            ask(icmp(client, host.address))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ping()


def test_capture_on_an_interface_that_is_not_there_is_a_probe_error(host: Host) -> None:
    with pytest.raises(ProbeError, match="could not do") as caught:
        with capture(host.vantage, "eth9"):
            pass

    assert "No such device" in caught.value.returned


# -- testinfra


def test_infra_sees_the_machine(host: Host) -> None:
    machine = infra(host.machine)

    docker0 = machine.interface("docker0")
    assert docker0.exists
    assert "172.17.0.1" in docker0.addresses
    assert not machine.interface("eth9").exists
    assert machine.sysctl("net.ipv4.ip_forward") == 1
    assert machine.file("/etc/resolv.conf").contains("198.51.100.53")
    assert not machine.file("/no/such/file").exists
    assert machine.check_output("hostname") == "host"
    assert machine.process.get(comm="dockerd").pid == host.engine.pid


def test_infra_sees_a_listener_come_and_go(host: Host) -> None:
    listener = listen(host.vantage)
    wanted = f"tcp://0.0.0.0:{listener.port}"

    before = infra(host.machine).socket(wanted).is_listening
    listener.close()

    assert (before, infra(host.machine).socket(wanted).is_listening) == (True, False)


def test_infra_quotes_what_it_is_given(host: Host) -> None:
    machine = infra(host.machine)

    assert machine.check_output("echo %s", 'a\'b "c" $HOME; false') == 'a\'b "c" $HOME; false'
    assert machine.run("exit 7").rc == 7


def test_program_of_another_root_has_the_network_of_its_vantage(running: tuple[Lab, Engine]) -> None:
    lab, _ = running
    client = of_machine(lab["client"])

    done = run_program(client, Path("/"), "cat", "/proc/net/fib_trie", "-", text="and its input")

    assert done.exit_status == 0
    assert client.machine.address in done.out
    assert done.out.endswith("and its input")


def test_program_that_lies_nowhere_is_no_answer(running: tuple[Lab, Engine]) -> None:
    lab, _ = running

    with pytest.raises(ProbeError, match="can't be reached"):
        run_program(of_machine(lab["client"]), Path("/nowhere"), "cat")
