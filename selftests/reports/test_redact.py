"""What a redacted record does not hold any more, and what it still says."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netfacts.model.record import SCHEMA, HostLine
from netfacts.model.verdict import Evidence, Observation, Verdict
from reports import standin
from reports.page import render
from reports.record import Record, read
from reports.redact import redact, redact_all
from reports.summary import summarise
from selftests.reports.conftest import full_record, lab_line, verdict_line

# Written here anew, so that a range that is let through by mistake is not let through here as well.
ALLOWED = [
    ipaddress.ip_network(network)
    for network in (
        *(
            "0.0.0.0/32",
            "127.0.0.0/8",
            "192.0.2.0/24",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
        *("::/128", "::1/128", "ff00::/8", "fe80::/112", "2001:db8::/32", "fe00::/128"),
    )
]
DOTTED = re.compile(r"(?<![0-9])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9])")
COLONS = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
OWN_PARTS = re.compile(r"<(style|script)>.*?</\1>", re.DOTALL)
"""Of a page: the same in all of them, and full of what is written like addresses."""
MAC = re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f])")


def redacted(text: str, *, target: str = "embedded", hosts: tuple[str, ...] = (), words: tuple[str, ...] = ()) -> str:
    """What becomes of a text that a check has kept."""
    record = record_of(text, target=target)
    return redact(record, hosts=hosts, words=words).verdicts[-1].observed[0].observed


def record_of(text: str, *, target: str = "embedded") -> Record:
    """A record that holds a text wherever a run may write one."""
    full = full_record()
    line = verdict_line(
        full.facts[0].fact,
        Verdict.DEVIATES,
        case="last",
        reason=text,
        observed=[Observation(what=text, vantage=text, expected=text, observed=text, agrees=False)],
        evidence=[Evidence(title=text, text=text)],
        state=[Evidence(title=text, text=text)],
        captures=["captures/a.pcap"],
    )
    return msgspec.structs.replace(
        full,
        run=msgspec.structs.replace(full.run, target=target, missing={"vxlan": text}),
        labs=(lab_line("one-host"),),
        verdicts=(*full.verdicts, line),
        host=HostLine(left=[f"+ links: {text}"], others=[f"- engine: {text}"], unread=[text], unknown=text),
    )


def words_of(record: Record) -> set[str]:
    """All words that a record has, but for the catalogue's, in small letters."""
    said = msgspec.json.encode([record.run, record.labs, record.verdicts, record.sabotages, record.host]).decode()
    return set(re.findall(r"[a-z0-9]+", said.lower()))


def private(text: str) -> list[str]:
    """The addresses and MACs in a text that are neither nobody's nor stand-ins."""
    found = [one for one in DOTTED.findall(text) if (ip := _parse(one)) and not _allowed(ip)]
    for run in COLONS.findall(text):
        # With a full stop, or as part of what says a port, it is none as a whole.
        pieces = (run, run.rstrip(".:"), run.lstrip(":"), run.rpartition(":")[0])
        piece = next((piece for piece in pieces if _parse(piece)), "")
        if piece and not _allowed(ipaddress.ip_address(piece)):
            found.append(piece)
    for mac in MAC.findall(text):
        octets = mac.lower().replace("-", ":")
        group = int(octets[:2], 16) % 2 == 1 and not octets.startswith("33:33:ff")
        if not group and octets != "00:00:00:00:00:00" and not octets.startswith("02:00:5e:10:"):
            found.append(mac)
    return found


def _parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _allowed(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    mapped = getattr(ip, "ipv4_mapped", None)
    return any((mapped or ip) in network for network in ALLOWED)


FORMS = [
    "{}",
    "inet {}/24 brd",
    "{}:8080",
    "tcp {}:8080 (from web-4f2a)",
    "[{}]:80",
    "-s {}/32 ! -o br-0c299f89e4e3 -j MASQUERADE",
    "saw {}.",
    "({}, 'eth0')",
    "http://{}:8080/index",
    "http://[{}]:8080/index",
    '"IPAddress": "{}",',
    "{}%eth0 dev",
    "src={} dst={}",
    "0.0.0.0:80->{}:8080/tcp",
    "a\\n{}\\n",
    "IPv4Interface('{}/16')",
    "lladdr {} REACHABLE",
    ":::20080 {}",
]
ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.ip_addresses(v=6).flatmap(lambda ip: st.sampled_from([str(ip), ip.exploded, str(ip).upper()]))
near = st.builds(
    lambda prefix, end: str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + end)),
    st.sampled_from(["fe80::", "fd00::", "::", "::ffff:0:0", "64:ff9b::", "ff02::1:ff00:0", "2a00:1450:4001::"]),
    st.integers(0, 2**32 - 1),
)
mac = st.binary(min_size=6, max_size=6).flatmap(lambda data: st.sampled_from([data.hex(":"), data.hex("-").upper()]))
thing = st.one_of(ipv4, ipv6, near, mac)
text = st.lists(st.builds(str.replace, st.sampled_from(FORMS), st.just("{}"), thing), min_size=1, max_size=5).map(
    "\n".join
)


@settings(deadline=None)  # a page is rendered each time, and the machine may be busy
@given(text)
@example("2001:db8:1::a 10.0.0.5 0.0.0.0:80->172.17.0.2:80/tcp, :::80->80/tcp")
@example("0.0.0.0:80->fe80:0:0:1:1:::8080/tcp")
@example("0.0.0.0:80->0000:0000:0000:0000:0000:0000:0000:0001:8080/tcp")
@example("a\\n::2\\n00-00-00-00-00-01\\n")
def test_no_address_is_left_anywhere(text: str) -> None:
    """Neither in the record nor on its page: no address, no MAC but those of nobody and the stand-ins."""
    record = redact(record_of(text))

    assert private(msgspec.json.encode(record).decode()) == []
    assert private(OWN_PARTS.sub("", render(record))) == []


def test_detector_sees_what_is_not_redacted() -> None:
    """The oracle of the test before finds what an unredacted record holds."""
    left = private(
        msgspec.json.encode(record_of("inet 10.1.2.3/24, [fe80::42:acff:fe11:2]:80, 02:42:ac:11:00:02")).decode()
    )

    assert {"10.1.2.3", "fe80::42:acff:fe11:2", "02:42:ac:11:00:02", "172.17.0.2"} <= set(left)


@settings(deadline=None)
@given(st.lists(ipv4, min_size=2, max_size=6))
def test_different_addresses_have_different_stand_ins(addresses: list[str]) -> None:
    """Evidence stays readable: the same address is the same, another another, and a subnet of 16 bits stays one."""
    said = redacted(" ".join(addresses)).split()

    assert len(set(said)) == len({str(ipaddress.ip_address(one)) for one in addresses})
    for one, other in zip(said, addresses, strict=True):
        for two, another in zip(said, addresses, strict=True):
            if (
                not one.startswith("240.")
                or not two.startswith("240.")
                or other.startswith("24")
                or another.startswith("24")
            ):
                continue
            assert (one.split(".")[:2] == two.split(".")[:2]) is (other.split(".")[:2] == another.split(".")[:2])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("172.17.0.2 172.17.0.1/16 172.17.0.0/16 172.17.255.255", "240.0.0.2 240.0.0.1/16 240.0.0.0/16 240.0.255.255"),
        ("8.8.8.8 10.0.1.2 10.0.7.2 10.0.1.3", "240.0.1.8 240.1.1.2 240.1.2.2 240.1.1.3"),
        ("fd00:1::1 fd00:1::2ab fd00:2::1", "2001:db8:ffff::1 2001:db8:ffff::2 2001:db8:ffff:1::1"),
        ("fe80::42:acff:fe11:2%eth0 fe80::/64", "fe80::1%eth0 fe80::/64"),
        ("::ffff:10.0.0.5 ::ffff:a00:5", "::ffff:240.0.0.5 ::ffff:240.0.0.5"),
        ("02:42:ac:11:00:02 ff:ff:ff:ff:ff:ff", "02:00:5e:10:00:00 ff:ff:ff:ff:ff:ff"),
        ("5.0.0.10.in-addr.arpa 10.0.0.5", "5.0.0.240.in-addr.arpa 240.0.0.5"),
        ("5.0.d.f.ip6.arpa", "<left out>.ip6.arpa"),
        ("ip-10-0-0-5.internal", "ip-240-0-0-5.internal"),
        ("127.0.0.11 0.0.0.0 198.51.100.10 255.255.0.0 ::1 2001:db8:1::a", None),
        ("28.5.2+dfsg4 20.10.24+dfsg1 1.41 07:43:35.472 2026-11-21T07:43:35.472+00:00", None),
        ("ip::container rtt min/avg/max = 0.083/0.083/0.083 ms 80/tcp SUBNET(bridge)/16", None),
        ("version 1.2.3.4", "version 240.0.1.4"),
    ],
)
def test_addresses_and_what_is_none(before: str, after: str | None) -> None:
    """Addresses have stand-ins in the order of their coming; versions, times and what is nobody's stay."""
    line = verdict_line(
        "dns.not-default-bridge", observed=[Observation(what="", expected="", observed=before, agrees=True)]
    )
    record = msgspec.structs.replace(full_record(), labs=(), verdicts=(line,))

    assert redact(record).verdicts[0].observed[0].observed == (before if after is None else after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("open /home/jane/netfacts/facts/dns.toml: no such file", "open <path>: no such file"),
        ("'/home/jane doe/x y' is there", "'<path>' is there"),
        ("--out=../acme/run ~jane/x ~/y", "--out=<path> <path> <path>"),
        ("x:/home/jane/y v/home/jane", "x:<path> v<path>"),
        ("it ended\\n/srv/acme/log.", "it ended\\n<path>."),
        ("/proc/1/root/home/jane and '/bin/sh /srv/acme'", "<path> and '<path>'"),
        ("https://jane:secret@registry.acme.net:5000/v2/acme/app?x=1.", "https://host-1:5000<path>."),
        ("etcd://198.51.100.53:2379 unix:///run/docker.sock", None),
        ("http+docker://localhost/v1.41/containers/create", None),
        ("/etc/resolv.conf /usr/sbin/docker-proxy /proc/net/tcp /web/db", None),
    ],
)
def test_paths_and_urls(before: str, after: str | None) -> None:
    """Paths of the machine go, paths of all machines and of the lab's containers stay."""
    assert redacted(before) == (before if after is None else after)


@settings(deadline=None)
@given(
    st.from_regex(r"[a-z][a-z0-9]{2,8}(-[a-z0-9]{1,4})?(\.[a-z]{3,8}){0,2}", fullmatch=True).filter(
        # Words that stand in the record anyway; hosts are not told from them.
        lambda host: not set(re.split(r"[.-]", host)) & set(re.findall(r"[a-z0-9]+", COMMON))
    ),
    st.sampled_from(
        ["{}", "on {}:", "root@{}:~#", "{}.", "x/{}/y", "http://{}:80/", "{}-eth0", "({})", "A {}. 0.0.0.0"]
    ),
)
def test_no_host_name_is_left(host: str, form: str) -> None:
    """A host's name, its first part and its domain go, in any case of letters."""
    record = redact(record_of(form.replace("{}", host) + "\n" + form.replace("{}", host.upper())), hosts=[host])

    names = {host, host.partition(".")[0]}
    written = msgspec.json.encode(record).decode().lower()
    assert [name for name in names if re.search(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])", written)] == []


COMMON = msgspec.json.encode(redact(record_of("host word"))).decode().lower() + " path left out host word x a root http"


def test_host_that_is_called_like_something_in_the_catalogue_stays() -> None:
    """A machine called `host` or `busybox` is not told by its name, and the record would not be readable."""
    record = redact(record_of("the host and a busybox"), hosts=["host", "busybox", "a"])

    assert record.verdicts[-1].reason == "the host and a busybox"


def test_words_go_also_from_within_others() -> None:
    assert redacted("acmeprod-7 and ACME", words=("acme",)) == "word-1prod-7 and word-1"


def test_verdicts_counts_and_the_catalogue_stay() -> None:
    """What was judged, and what the catalogue says, is as it was."""
    before = record_of("10.0.0.5")
    after = redact(before, hosts=["busybox"], words=["bridge"])

    assert after.facts == before.facts
    assert after.end == before.end
    assert [(one.fact, one.case, one.verdict, one.claim) for one in after.verdicts] == [
        (one.fact, one.case, one.verdict, one.claim) for one in before.verdicts
    ]
    totals = [summarise(one.facts, one.verdicts, interrupted=one.interrupted).totals for one in (before, after)]
    assert totals[0] == totals[1]


def test_claim_in_a_reason_stays() -> None:
    """A reason begins with the claim, which is the catalogue's."""
    full = full_record()
    fact = msgspec.structs.replace(full.facts[0], claim="The gateway is 172.17.0.1.")
    line = verdict_line(fact.fact, Verdict.DEVIATES, claim=fact.claim, reason=f"{fact.claim}\nsaw 172.17.0.1")
    record = redact(msgspec.structs.replace(full, labs=(), facts=(fact,), verdicts=(line,)))

    assert record.verdicts[0].reason == "The gateway is 172.17.0.1.\nsaw 240.0.0.1"


def test_run_line_names_no_machine() -> None:
    """The folder's name, an own kernel's and an engine's path go."""
    full = full_record()
    engine = msgspec.structs.replace(full.run.engine, spec="static:/home/jane/docker.tgz")
    run = msgspec.structs.replace(
        full.run, run_id="acme-prod", kernel="6.1.0-18-acme", engine=engine, predecessor=engine
    )

    seen = redact(msgspec.structs.replace(full, run=run)).run

    assert (seen.run_id, seen.kernel, seen.engine.spec) == ("run-redacted", "6.1.0-18", "static:<path>")
    assert seen.predecessor is not None
    assert seen.predecessor.spec == "static:<path>"
    assert redact(full).run.run_id == f"{full.run.run_id}-redacted"
    assert redact(full).run.kernel == "6.1.0-18-amd64"


@pytest.mark.parametrize(
    "kernel",
    [
        *(
            "6.8.0-1017-azure",
            "5.14.0-362.8.1.el9_3.x86_64",
            "6.5.6-300.fc39.x86_64",
            "6.10.14-linuxkit",
            "6.6.8-arch1-1",
        ),
        *("5.15.153.1-microsoft-standard-WSL2", "6.1.0-0.deb11.5-amd64", "6.1.0-18-amd64, 6.12.1-rt-amd64"),
    ],
)
def test_distributions_kernels_stay(kernel: str) -> None:
    full = full_record()

    seen = redact(msgspec.structs.replace(full, run=msgspec.structs.replace(full.run, kernel=kernel)))

    assert seen.run.kernel == kernel


class TestOnSomebodysEngine:
    """On a target that is not netfacts' own there are the user's things beside the lab's."""

    def test_what_shows_the_whole_machine_is_left_out(self) -> None:
        """Evidence, state and changes of the host go but for their titles, and what engines said in reasons."""
        said = "it did not start\n  container acme-shop is in use\n  by jane\n  → remove it"
        record = redact(record_of(said, target="local"))
        line = record.verdicts[-1]

        assert line.reason == "it did not start\n  <left out>\n  → remove it"
        assert [piece.text for piece in (*line.evidence, *line.state)] == ["<left out>"] * 2
        assert record.host == HostLine(
            left=["+ links: <left out>"], others=["- engine: <left out>"], unread=["<left out>"], unknown=line.reason
        )

    @pytest.mark.parametrize(
        "listing",
        [
            "-A POSTROUTING -o wg-acme -j MASQUERADE, -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
            "['-N ACME-IN', '-A ACME-IN -j ACCEPT']",
            "2 rules: -P FORWARD DROP",
            "127.0.0.1 localhost\n10.0.0.5 shop\n",
        ],
    )
    def test_rules_and_files_that_a_check_compares_are_left_out(self, listing: str) -> None:
        """Wherever they stand: what was seen, what was expected, and the reason that tells of both."""
        full = record_of("", target="local")
        seen = [
            Observation(what="rules", expected="none", observed=listing, agrees=False),
            Observation(what="the same as before", expected=listing, observed="nothing", agrees=False),
        ]
        reason = f"The claim.\nrules: expected none, saw {listing}\nthe same as before: expected {listing}, saw nothing"
        line = msgspec.structs.replace(full.verdicts[-1], observed=seen, reason=reason)

        redacted = redact(msgspec.structs.replace(full, verdicts=(line,))).verdicts[0]

        assert [(one.expected, one.observed) for one in redacted.observed] == [
            ("none", "<left out>"),
            ("<left out>", "nothing"),
        ]
        assert redacted.reason == (
            "The claim.\nrules: expected none, saw <left out>\nthe same as before: expected <left out>, saw nothing"
        )

    @pytest.mark.parametrize(
        "said", ["timed_out", "br-0123456789ab, docker0", "172.17.0.2 -> 8080", "ping -c 1, ip -X y"]
    )
    def test_what_is_no_listing_is_told(self, said: str) -> None:
        record = redact(record_of(said, target="local"))

        assert record.verdicts[-1].observed[0].observed == said.replace("172.17.0.2", "240.0.0.2")

    def test_search_domains_go_from_all_texts(self) -> None:
        """The domains in which the machine looks names up are known from its resolv.conf, which is left out itself."""
        full = record_of("db1.corp.acme.net and corp.acme.net", target="local")
        piece = Evidence(
            title="DNS configuration on host", text="nameserver 10.0.0.5\nsearch corp.acme.net lab.acme.net\n"
        )
        line = msgspec.structs.replace(full.verdicts[-1], state=[piece])
        record = redact(msgspec.structs.replace(full, verdicts=(line,)))

        assert record.verdicts[-1].observed[0].observed == "db1.host-1 and host-1"

    @pytest.mark.parametrize("target", ["ssh://jane@vm7.acme.net:2222", "ssh://jane@vm7.acme.net"])
    def test_visited_vm_and_its_user_go_from_all_texts(self, target: str) -> None:
        """Whom netfacts came as, and to which machine, stands in the target."""
        record = redact(record_of("jane on vm7.acme.net and on vm7", target=target))

        assert record.run.target == "ssh://<left out>"
        said = record.verdicts[-1].observed[0].observed
        assert not {"jane", "vm7", "acme"} & set(re.findall(r"\w+", said)), said

    @pytest.mark.parametrize(
        "target",
        [
            "ssh://lab9@vm1:2222,jane@vm2.acme.net,anna@Client9",
            "ssh://lab9@vm1:2222,ssh://jane@vm2.acme.net/,ssh://anna@Client9:22",
        ],
    )
    def test_each_of_several_vms_and_its_user_go_from_all_texts(self, target: str) -> None:
        """Also where a run says which of them it means: whose change it is, and which engine can't be read."""
        full = record_of("jane on vm2, of acme.net, beside lab9 on vm1 and anna on client9", target=target)
        host = HostLine(
            left=["jane@vm2.acme.net: + links: br-acme: up", "lab9@vm1:2222: - processes: acmed"],
            others=["anna@Client9: + engine: container acme-shop"],
            unread=["nftables"],
            unknown="jane@vm2.acme.net: not read: timed out (on vm2.acme.net)\n  acme-shop\nlab9@vm1:2222: lost",
        )
        record = redact(msgspec.structs.replace(full, host=host))

        assert record.run.target == "ssh://<left out>"
        assert not {"lab9", "jane", "anna", "vm1", "vm2", "client9", "acme"} & words_of(record)
        assert record.host
        left = [re.fullmatch(r"(host-\d+@host-\d+)(?::2222)?: ([+-] \w+): <left out>", one) for one in record.host.left]
        (other,) = (re.fullmatch(r"(host-\d+@host-\d+): (\+ engine): <left out>", one) for one in record.host.others)
        assert [match and match[2] for match in (*left, other)] == ["+ links", "- processes", "+ engine"]
        assert len({match[1] for match in (*left, other) if match}) == 3
        unknown = record.host.unknown.splitlines()
        assert [re.sub(r"host-\d+", "H", line) for line in unknown] == [
            "H@H: not read: timed out (on H)",
            "  <left out>",
            "H@H:2222: lost",
        ]
        assert left[0]
        assert unknown[0].startswith(f"{left[0][1]}: ")

    def test_changes_on_vms_that_are_addresses_stay_with_whose_they_are(self) -> None:
        target = "ssh://root@10.0.0.5,root@[fd00::5]:2222"
        full = record_of("198 packets", target=target)
        host = HostLine(left=["root@10.0.0.5: + links: nf0", "root@[fd00::5]:2222: + links: nf0", "something else"])
        record = redact(msgspec.structs.replace(full, host=host))

        assert record.host
        assert [re.sub(r"240[.0-9]+|2001:db8:ffff:[:0-9a-f]+", "IP", one) for one in record.host.left] == [
            "root@IP: + links: <left out>",
            "root@[IP]:2222: + links: <left out>",
            "<left out>",
        ]
        assert record.verdicts[-1].observed[0].observed == "198 packets"

    @pytest.mark.parametrize("target", ["ssh://jane@vm7.acme.net:2222", "ssh://lab9@vm1:2222,jane@vm2.acme.net"])
    def test_redacting_a_visit_twice_changes_nothing_more(self, target: str) -> None:
        full = record_of("jane on vm2 and on vm7", target=target)
        host = HostLine(left=["lab9@vm1:2222: + links: br-acme"], unknown="jane@vm2.acme.net: lost\n  acme")
        once = redact(msgspec.structs.replace(full, host=host))

        assert redact(once) == once

    @pytest.mark.parametrize("target", ["ssh://root@198.51.100.10", "ssh://root@[2001:db8::1]:22"])
    def test_visited_address_is_a_name_of_nothing(self, target: str) -> None:
        """No part of an address is looked for in other texts, and neither is root."""
        record = redact(record_of("root saw 198 packets in 2001", target=target))

        assert record.run.target == "ssh://<left out>"
        assert record.verdicts[-1].observed[0].observed == "root saw 198 packets in 2001"

    def test_values_of_flags_go_unless_they_are_anybodys(self) -> None:
        """What an administrator has configured names hosts and paths."""
        full = record_of("", target="local")
        flags = [
            "-H",
            "fd://",
            "--label=acme",
            "--dns=10.0.0.5",
            "--userland-proxy=false",
            "--mtu=1400",
            "--dns=db1.cafe",
        ]
        engine = msgspec.structs.replace(full.run.engine, flags=flags)
        record = redact(
            msgspec.structs.replace(full, labs=(), verdicts=(), run=msgspec.structs.replace(full.run, engine=engine))
        )

        assert record.run.engine.flags == [
            *("-H", "<left out>", "--label=<left out>", "--dns=240.0.0.5", "--userland-proxy=false", "--mtu=1400"),
            "--dns=<left out>",
        ]


def test_captures_are_not_named() -> None:
    assert [line.captures for line in redact(record_of("x")).verdicts if line.captures] == []


def test_redacted_record_is_read_and_rendered_as_it_is(written: Callable[[Record], Path]) -> None:
    """It is a record like any other: written, read, rendered to the same page byte for byte."""
    record = msgspec.structs.replace(redact(record_of("10.0.0.5, /home/jane")), host=None)
    path = written(record)

    assert read(path) == record
    assert render(read(path)) == render(record)


def test_redacting_twice_changes_nothing_more() -> None:
    once = redact(record_of("10.0.0.5 fd00::7 fe80::9 02:42:ac:11:00:02 /home/jane"))

    assert redact(once) == once


def test_stand_ins_are_valid_when_there_are_too_many() -> None:
    """More subnets than the range holds share stand-ins, and none leaves the range."""
    stand_ins = standin.StandIns()
    given_out = [ipaddress.IPv4Address(stand_ins.ipv4(ipaddress.IPv4Address(n << 16 | 5))) for n in range(256, 5000)]

    assert all(one in standin.IPV4 and int(one) >> 24 != 255 for one in given_out if not one.is_loopback)


@pytest.mark.parametrize("schema", [1, SCHEMA])
def test_redacted_record_says_that_it_is_one(schema: int) -> None:
    """In a schema that has a word for it."""
    full = full_record()
    run = redact(msgspec.structs.replace(full, run=msgspec.structs.replace(full.run, schema=schema))).run

    assert not full.run.redacted
    assert (run.redacted, run.schema) == (True, SCHEMA)


def observed(record: Record) -> str:
    return record.verdicts[-1].observed[0].observed


class TestSeveralRecords:
    """The runs of an upgrade are read side by side, so they are redacted together."""

    def test_same_thing_has_the_same_stand_in_in_all(self) -> None:
        said = {
            "before": "10.0.0.5 fd00::7 fe80::9 02:42:0a:00:00:05 acme",
            "after": "172.30.0.9 fd07::7 fe80::8 02:42:ac:1e:00:09 bell",
        }
        said["carried"] = " ".join(reversed(f"{said['after']} {said['before']}".split()))
        done = redact_all({role: record_of(text) for role, text in said.items()}, words=["acme", "bell"])
        of = {
            thing: stand_in
            for role in ("before", "after")
            for thing, stand_in in zip(said[role].split(), observed(done[role]).split(), strict=True)
        }

        assert list(done) == ["before", "after", "carried"]
        assert not of.keys() & set(of.values())
        assert len(set(of.values())) == 10
        assert observed(done["carried"]).split() == [of[thing] for thing in said["carried"].split()]

    def test_one_by_one_they_would_have_others(self) -> None:
        """Else the test before would say nothing."""
        assert redacted("172.30.0.9 172.31.0.9").split()[1] != redacted("172.31.0.9")

    def test_name_that_one_of_them_tells_goes_from_all(self) -> None:
        """A search domain, a kernel's own suffix."""
        full = record_of("db1.corp.acme.net", target="local")
        piece = Evidence(title="DNS configuration on host", text="search corp.acme.net\n")
        line = msgspec.structs.replace(full.verdicts[-1], state=[piece])
        other = record_of("it is db1.corp.acme.net on 6.1.0-18-acme")
        run = msgspec.structs.replace(full.run, kernel="6.1.0-18-acme")

        done = redact_all(
            {"after": other, "before": msgspec.structs.replace(full, run=run, verdicts=(*full.verdicts[:-1], line))}
        )

        assert observed(done["after"]) == "it is db1.host-1 on 6.1.0-18"
        assert (done["before"].run.kernel, done["after"].run.kernel) == ("6.1.0-18", "6.1.0-18-amd64")

    def test_redacting_twice_changes_nothing_more(self) -> None:
        once = redact_all({"before": record_of("10.0.0.5 fd00::7"), "after": record_of("fd00::8 10.9.0.5 fe80::9")})

        assert redact_all(once) == once

    @pytest.mark.parametrize("role", ["before", "after", "carried", "back"])
    def test_run_of_an_upgrade_keeps_its_role_for_a_name(self, role: str) -> None:
        full = full_record()

        seen = redact(msgspec.structs.replace(full, run=msgspec.structs.replace(full.run, run_id=role)))

        assert seen.run.run_id == f"{role}-redacted"


@pytest.mark.parametrize(
    "hostile", ["[" * 50, "http://[", "::" * 400, "1.2.3." * 400, "'/" * 200, "/" * 300, "\ufffd:::"]
)
def test_hostile_texts_are_redacted_as_well(hostile: str, make: Any) -> None:
    """Nothing that somebody can make an engine say ends the redaction."""
    assert private(redacted(f"{hostile} 10.1.2.3")) == []
