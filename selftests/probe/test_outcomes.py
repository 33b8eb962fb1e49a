"""Every way in which a probe can end, brought about on purpose, and what it learns on the way.

    client (.20)         resolver (.53)
       |                    |
-------+----- 198.51.100.0/24, 2001:db8:1::/64
       |
    host (.10), with an engine
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from netfacts.engine import Engine
from netfacts.lab import Lab, Vantage, of_machine
from netfacts.lab.agent import Refusal
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, serving
from netfacts.probe import Answer, Probe, ask, hold, http, icmp, listen, query, resolve, tcp, udp
from netfacts.topology import Host

CLIENT = {4: "198.51.100.20", 6: "2001:db8:1::14"}
HOST = {4: "198.51.100.10", 6: "2001:db8:1::a"}
ANY = {4: "0.0.0.0", 6: "::"}
RESOLVER = "198.51.100.53"
ABSENT = {4: "198.51.100.99", 6: "2001:db8:1::99"}
_REJECT_PINGS = {
    4: ["-p", "icmp", "--icmp-type", "echo-request", "-j", "REJECT", "--reject-with", "icmp-host-unreachable"],
    6: ["-p", "icmpv6", "--icmpv6-type", "echo-request", "-j", "REJECT", "--reject-with", "icmp6-adm-prohibited"],
}
NO_ROUTE = {4: "203.0.113.1", 6: "2001:db8:2::1"}

Firewall = Callable[..., None]


@pytest.fixture
def client(lab: Lab) -> Vantage:
    return of_machine(lab["client"])


@pytest.fixture
def inside(engine: Engine) -> Vantage:
    return of_machine(engine.machine)


@pytest.fixture
def firewall(engine: Engine) -> Iterator[Firewall]:
    """Puts a rule first in a chain of the host's. Undo: it is deleted."""
    with ExitStack() as stack:

        def insert(chain: str, *spec: str, family: int = 4) -> None:
            tool = "iptables" if family == 4 else "ip6tables"
            engine.execute([tool, "-I", chain, *spec]).checked("could not insert a rule", ProbeError)
            stack.callback(engine.execute, [tool, "-D", chain, *spec])

        yield insert


@pytest.fixture(params=[4, 6], ids=["family=4", "family=6"])
def family(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def ended(probe: Probe) -> Answer:
    (answer,) = ask(probe)
    return answer


# -- connected


@pytest.mark.parametrize("kind", [tcp, udp])
def test_probe_that_connects_learns_whom_the_listener_saw(
    client: Vantage, inside: Vantage, family: int, kind: Callable[..., Probe]
) -> None:
    listener = listen(inside, protocol=kind.__name__, address=ANY[family], name="far end")

    answer = ended(kind(client, HOST[family], listener.port))

    listener.close()
    assert (answer.outcome, answer.peer, answer.name) == (Outcome.CONNECTED, CLIENT[family], "far end")
    assert 0 < answer.latency_ms < 2000


def test_listener_that_is_closed_no_longer_answers(client: Vantage, inside: Vantage) -> None:
    listener = listen(inside)
    before = ended(tcp(client, HOST[4], listener.port)).outcome

    listener.close()
    listener.close()

    assert (before, ended(tcp(client, HOST[4], listener.port)).outcome) == (Outcome.CONNECTED, Outcome.REFUSED)


def test_listener_on_any_address_of_both_families_says_ipv4_addresses_plainly(client: Vantage, inside: Vantage) -> None:
    listener = listen(inside, address="::")

    answer = ended(tcp(client, HOST[4], listener.port))

    listener.close()
    assert (answer.outcome, answer.peer) == (Outcome.CONNECTED, CLIENT[4])


def test_ping_is_answered_by_the_host(client: Vantage, family: int) -> None:
    answer = ended(icmp(client, HOST[family]))

    assert (answer.outcome, answer.source) == (Outcome.CONNECTED, HOST[family])
    assert answer.ttl == (64 if family == 4 else None)


@pytest.mark.parametrize("size", [56, 1400, 4000])
def test_ping_of_any_size_comes_back_whole(client: Vantage, family: int, size: int) -> None:
    assert ended(icmp(client, HOST[family], size=size)).outcome is Outcome.CONNECTED


def test_http_is_answered_by_a_listener(client: Vantage, inside: Vantage, family: int) -> None:
    listener = listen(inside, address=ANY[family], name="far end")

    answer = ended(http(client, HOST[family], listener.port))

    listener.close()
    assert (answer.outcome, answer.status, answer.peer) == (Outcome.CONNECTED, 200, CLIENT[family])
    assert answer.name == "far end"


def test_http_of_a_program_in_a_container_has_its_status_and_body(host: Host) -> None:
    web = host.container("web", command=["httpd", "-f", "-p", "8080", "-h", "/www"])
    serving(web.vantage, 8080)

    found, missing = ask(
        http(host.vantage, web.address, 8080, path="/index.html"), http(host.vantage, web.address, 8080, path="/none")
    )

    assert (found.outcome, found.status, found.body) == (Outcome.CONNECTED, 200, "netfacts\n")
    assert (missing.outcome, missing.status) == (Outcome.CONNECTED, 404)


def test_probe_from_a_container_has_the_container_s_address(host: Host) -> None:
    network = host.network("mynet")
    a, b = host.container("a", network=network), host.container("b", network=network)
    port = listen(b.vantage).port

    answer = ended(tcp(a.vantage, b.address, port))

    assert (answer.peer, answer.local, answer.name) == (a.address, a.address, b.name)


def test_source_port_is_the_one_asked_for(client: Vantage, inside: Vantage, engine: Engine, firewall: Firewall) -> None:
    """A rule that lets in but one source port is the witness."""
    listener = listen(inside)
    firewall("INPUT", "-p", "tcp", "--dport", str(listener.port), "!", "--sport", "40123", "-j", "DROP")

    right, other = ask(
        tcp(client, HOST[4], listener.port, source_port=40123, timeout_s=5.0),
        tcp(client, HOST[4], listener.port, source_port=40124, timeout_s=0.5),
    )

    listener.close()
    assert (right.outcome, other.outcome) == (Outcome.CONNECTED, Outcome.TIMED_OUT)


# -- refused, timed_out, unreachable


@pytest.mark.parametrize("kind", [tcp, udp, http])
def test_closed_port_is_refused(client: Vantage, family: int, kind: Callable[..., Probe]) -> None:
    answer = ended(kind(client, HOST[family], 9))

    assert (answer.outcome, answer.detail) == (Outcome.REFUSED, "Connection refused")


@pytest.mark.parametrize("kind", [tcp, udp, http])
def test_drop_is_a_time_out(client: Vantage, family: int, firewall: Firewall, kind: Callable[..., Probe]) -> None:
    protocol = "udp" if kind is udp else "tcp"
    firewall("INPUT", "-p", protocol, "--dport", "9", "-j", "DROP", family=family)

    answer = ended(kind(client, HOST[family], 9, timeout_s=0.5))

    assert answer.outcome is Outcome.TIMED_OUT
    assert answer.latency_ms >= 500


def test_ping_that_is_dropped_is_a_time_out(client: Vantage, firewall: Firewall) -> None:
    firewall("INPUT", "-p", "icmp", "-j", "DROP")

    assert ended(icmp(client, HOST[4], timeout_s=0.5)).outcome is Outcome.TIMED_OUT


def test_reject_with_a_reset_of_the_first_packet_is_refused(client: Vantage, firewall: Firewall) -> None:
    firewall("INPUT", "-p", "tcp", "--dport", "9", "-j", "REJECT", "--reject-with", "tcp-reset")

    assert ended(tcp(client, HOST[4], 9)).outcome is Outcome.REFUSED


@pytest.mark.parametrize("why", ["icmp-host-unreachable", "icmp-net-unreachable", "icmp-admin-prohibited"])
@pytest.mark.parametrize("kind", [tcp, udp])
def test_reject_with_an_icmp_error_is_unreachable(
    client: Vantage, firewall: Firewall, why: str, kind: Callable[..., Probe]
) -> None:
    firewall("INPUT", "-p", kind.__name__, "--dport", "9", "-j", "REJECT", "--reject-with", why)

    assert ended(kind(client, HOST[4], 9)).outcome is Outcome.UNREACHABLE


@pytest.mark.parametrize("kind", [tcp, udp, http])
def test_address_without_a_route_is_unreachable(client: Vantage, family: int, kind: Callable[..., Probe]) -> None:
    answer = ended(kind(client, NO_ROUTE[family], 80))

    assert (answer.outcome, answer.detail) == (Outcome.UNREACHABLE, "Network is unreachable")


def test_ping_without_a_route_is_unreachable(client: Vantage, family: int) -> None:
    assert ended(icmp(client, NO_ROUTE[family])).outcome is Outcome.UNREACHABLE


@pytest.mark.parametrize("kind", [tcp, udp])
def test_neighbour_that_is_not_there_is_unreachable(client: Vantage, family: int, kind: Callable[..., Probe]) -> None:
    answer = ended(kind(client, ABSENT[family], 80, timeout_s=10.0))

    assert (answer.outcome, answer.detail) == (Outcome.UNREACHABLE, "No route to host")


def test_what_the_own_firewall_rejects_is_unreachable(inside: Vantage, firewall: Firewall) -> None:
    firewall("OUTPUT", "-p", "udp", "--dport", "9", "-j", "DROP")

    answer = ended(udp(inside, CLIENT[4], 9, timeout_s=1.0))

    assert (answer.outcome, answer.detail) == (Outcome.UNREACHABLE, "Operation not permitted")


def test_source_address_that_is_not_the_vantage_s_is_unreachable(client: Vantage) -> None:
    answer = ended(tcp(client, HOST[4], 9, source=HOST[4]))

    assert (answer.outcome, answer.detail) == (Outcome.UNREACHABLE, "Cannot assign requested address")


# -- reset, too_big


def test_proxy_with_nothing_behind_it_is_a_reset_and_no_connection(host: Host) -> None:
    """docker-proxy accepts first and asks later: without a nonce that comes back, it would look like success."""
    silent = host.container("silent", publish={"8080/tcp": None})

    through_proxy, bare, direct = ask(
        tcp(host.vantage, "127.0.0.1", silent.host_port(8080)),
        tcp(host.vantage, "127.0.0.1", silent.host_port(8080), exchange=False),
        tcp(host.vantage, silent.address, 8080),
    )

    assert bare.outcome is Outcome.CONNECTED
    assert through_proxy.outcome is Outcome.RESET
    assert direct.outcome is Outcome.REFUSED


def test_program_that_hangs_up_is_a_reset(host: Host) -> None:
    rude = host.container("rude", command=["nc", "-ll", "-p", "9000", "-e", "true"])
    serving(rude.vantage, 9000)

    assert ended(tcp(host.vantage, rude.address, 9000)).outcome is Outcome.RESET


def test_reject_with_a_reset_of_what_is_sent_is_a_reset(client: Vantage, inside: Vantage, firewall: Firewall) -> None:
    listener = listen(inside)
    spec = ("-p", "tcp", "--dport", str(listener.port), "--tcp-flags", "PSH", "PSH")
    firewall("INPUT", *spec, "-j", "REJECT", "--reject-with", "tcp-reset")

    answer = ended(tcp(client, HOST[4], listener.port))

    listener.close()
    assert (answer.outcome, answer.detail) == (Outcome.RESET, "Connection reset by peer")


def test_ping_beyond_the_mtu_that_must_not_be_cut_is_too_big(client: Vantage, family: int) -> None:
    head = 28 if family == 4 else 48
    fits, beyond = ask(
        icmp(client, HOST[family], size=1500 - head, dont_fragment=True),
        icmp(client, HOST[family], size=1501 - head, dont_fragment=True),
    )

    assert (fits.outcome, beyond.outcome) == (Outcome.CONNECTED, Outcome.TOO_BIG)
    assert beyond.detail == "Message too long"


def test_ping_beyond_a_router_s_mtu_is_too_big(host: Host, client: Vantage) -> None:
    """Not the vantage's own link is too narrow, but one further on: an ICMP error says so."""
    narrow = host.network("narrow", options={"com.docker.network.driver.mtu": "1300"})
    target = host.container("target", network=narrow)
    client.machine.route(narrow.subnet, HOST[4])
    host.engine.execute(["iptables", "-I", "FORWARD", "-p", "icmp", "-j", "ACCEPT"])
    host.engine.execute(["iptables", "-t", "raw", "-I", "PREROUTING", "-p", "icmp", "-j", "ACCEPT"])
    try:
        answer = ended(icmp(client, target.address, size=1400, dont_fragment=True))
    finally:
        host.engine.execute(["iptables", "-D", "FORWARD", "-p", "icmp", "-j", "ACCEPT"])
        host.engine.execute(["iptables", "-t", "raw", "-D", "PREROUTING", "-p", "icmp", "-j", "ACCEPT"])
        client.machine.unroute(narrow.subnet, HOST[4])

    assert answer.outcome is Outcome.TOO_BIG


def test_ping_of_few_hops_says_who_dropped_it(host: Host) -> None:
    """As traceroute has it: the hop before the last answers with an ICMP error of its own."""
    box = host.container("box")

    first, second = ask(icmp(box.vantage, RESOLVER, ttl=1), icmp(box.vantage, RESOLVER, ttl=2))

    docker0 = interface(host.vantage, host.predefined().bridge).ipv4[0].ip
    assert (first.outcome, first.source) == (Outcome.UNREACHABLE, str(docker0))
    assert (second.outcome, second.source) == (Outcome.CONNECTED, RESOLVER)


def test_ping_that_is_rejected_says_who_rejected_it(client: Vantage, family: int, firewall: Firewall) -> None:
    firewall("INPUT", *_REJECT_PINGS[family], family=family)

    answer = ended(icmp(client, HOST[family]))

    assert (answer.outcome, answer.source) == (Outcome.UNREACHABLE, HOST[family])


# -- names


def test_name_of_the_lab_is_found_and_another_is_not(client: Vantage) -> None:
    found, unknown = resolve(client, "host.lab", "other.lab")

    assert (found.outcome, found.addresses) == (Outcome.CONNECTED, ("198.51.100.10",))
    assert (unknown.outcome, unknown.addresses) == (Outcome.NAME_NOT_FOUND, ())


def test_name_without_an_address_of_the_family_is_not_found(client: Vantage) -> None:
    (answer,) = resolve(client, "host.lab", family=6)

    assert (answer.outcome, answer.addresses) == (Outcome.NAME_NOT_FOUND, ())


def test_own_hosts_file_is_looked_into(client: Vantage) -> None:
    own, local = resolve(client, "client", "localhost")

    assert own.addresses == ("127.0.1.1",)
    assert local.addresses == ("127.0.0.1",)


def test_server_that_refuses_is_a_failure_of_the_resolver(inside: Vantage, firewall: Firewall) -> None:
    firewall("OUTPUT", "-d", RESOLVER, "-p", "udp", "--dport", "53", "-j", "REJECT")

    (answer,) = resolve(inside, "client.lab")

    assert (answer.outcome, answer.addresses) == (Outcome.RESOLVER_FAILED, ())
    assert answer.detail


def test_resolver_that_says_nothing_in_time_is_a_time_out(inside: Vantage, firewall: Firewall) -> None:
    firewall("INPUT", "-s", RESOLVER, "-p", "udp", "--sport", "53", "-j", "DROP")

    first, second = resolve(inside, "client.lab", "host.lab", timeout_s=0.5)

    assert first.outcome is second.outcome is Outcome.TIMED_OUT


# -- DNS on the wire


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_dns_server_of_the_lab_answers_on_the_wire(client: Vantage, over: str) -> None:
    found = query(client, RESOLVER, "host.lab", over=over)
    empty = query(client, RESOLVER, "host.lab", "AAAA", over=over)
    unknown = query(client, RESOLVER, "other.lab", over=over)

    assert (found.outcome, found.rcode, found.records, found.ttl_s) == (
        Outcome.CONNECTED,
        "NOERROR",
        ("198.51.100.10",),
        60,
    )
    assert (empty.rcode, empty.records, empty.ttl_s) == ("NOERROR", (), None)
    assert (unknown.rcode, unknown.records) == ("NXDOMAIN", ())


@pytest.mark.parametrize("over", ["udp", "tcp"])
def test_dns_server_of_the_engine_answers_a_container_on_the_wire(host: Host, over: str) -> None:
    network = host.network("mynet")
    a, b = host.container("a", network=network), host.container("b", network=network)

    known = query(a.vantage, "127.0.0.11", b.name, over=over)
    forwarded = query(a.vantage, "127.0.0.11", "client.lab", over=over)
    unknown = query(a.vantage, "127.0.0.11", "no-such-name", over=over)

    assert (known.rcode, known.records) == ("NOERROR", (b.address,))
    assert (forwarded.rcode, forwarded.records) == ("NOERROR", ("198.51.100.20",))
    assert unknown.rcode == "NXDOMAIN"


@pytest.mark.parametrize(("over", "outcome"), [("udp", Outcome.REFUSED), ("tcp", Outcome.REFUSED)])
def test_question_to_a_machine_without_a_dns_server_ends_as_a_probe_does(
    client: Vantage, over: str, outcome: Outcome
) -> None:
    answer = query(client, HOST[4], "host.lab", over=over)

    assert (answer.outcome, answer.rcode, answer.records) == (outcome, "", ())


def test_reply_that_is_no_dns_message_is_a_probe_error(client: Vantage, inside: Vantage) -> None:
    listener = listen(inside, 53, protocol="udp")
    try:
        with pytest.raises(ProbeError, match="sent no DNS message"):
            query(client, HOST[4], "host.lab")
    finally:
        listener.close()


# -- connections that are held


def test_held_connection_carries_line_after_line(client: Vantage, inside: Vantage) -> None:
    port = listen(inside).port

    held = hold(client, HOST[4], port)

    assert [held.say().outcome for _ in range(3)] == [Outcome.CONNECTED] * 3


def test_held_connection_says_how_it_ended(client: Vantage, inside: Vantage, firewall: Firewall) -> None:
    port = listen(inside).port
    held = hold(client, HOST[4], port)

    firewall("INPUT", "-p", "tcp", "--dport", str(port), "-j", "REJECT", "--reject-with", "tcp-reset")

    assert held.say().outcome is Outcome.RESET


def test_connection_to_a_closed_port_can_not_be_held(client: Vantage) -> None:
    with pytest.raises(ProbeError) as caught:
        hold(client, HOST[4], 9)

    assert "Connection refused" in caught.value.returned


# -- what is no outcome but an error


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_port_in_use_is_a_refusal_with_its_errno(host: Host, protocol: str) -> None:
    box = host.container("box")
    listen(box.vantage, 8080, protocol=protocol)

    with pytest.raises(Refusal) as caught:
        listen(box.vantage, 8080, protocol=protocol)

    assert (caught.value.kind, caught.value.errno) == ("failed", errno.EADDRINUSE)
    assert isinstance(caught.value, ProbeError)
    assert not isinstance(caught.value, AssertionError)


def test_port_in_use_by_a_container_s_program_is_a_refusal_too(host: Host) -> None:
    web = host.container("web", command=["httpd", "-f", "-p", "8080", "-h", "/www"])
    serving(web.vantage, 8080)

    with pytest.raises(Refusal) as caught:
        listen(web.vantage, 8080)

    assert caught.value.errno == errno.EADDRINUSE


def test_same_port_is_free_in_another_container(host: Host) -> None:
    a, b = host.container("a"), host.container("b")

    assert listen(a.vantage, 8080).port == listen(b.vantage, 8080).port == 8080


def test_address_that_is_none_is_a_probe_error(client: Vantage) -> None:
    with pytest.raises(ProbeError, match=r"tcp 198\.51\.100\.256:80 could not be carried out"):
        ask(tcp(client, "198.51.100.256", 80))
