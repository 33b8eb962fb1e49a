"""iptables-save's output is read as it is meant, quotes and all."""

from __future__ import annotations

import string
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netfacts.model.errors import ProbeError
from netfacts.observe.firewall import Rule, Ruleset, parse_iptables_save

Golden = Callable[[str], str]
HOST = "198.51.100.10"


def test_rules_of_a_real_engine_are_read(golden: Golden) -> None:
    ruleset = parse_iptables_save(golden("iptables-save.bookworm.txt"))

    assert {table for table, _ in ruleset.chains} == {"filter", "nat"}
    assert ruleset.chains["filter", "FORWARD"] == "DROP"
    assert ruleset.chains["nat", "DOCKER"] == "-"
    assert len(ruleset.rules) == 29
    assert [rule.text for rule in ruleset.of("nat", "DOCKER")] == [
        "-A DOCKER -i nf-golden -j RETURN",
        "-A DOCKER -i docker0 -j RETURN",
        f"-A DOCKER -d {HOST}/32 ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:8080",
        "-A DOCKER ! -i docker0 -p udp -m udp --dport 5353 -j DNAT --to-destination 172.17.0.2:53",
    ]
    masquerade = ruleset.of("nat", "POSTROUTING")[0]
    assert masquerade.target == "MASQUERADE"
    assert masquerade.spec == ("-s", "192.0.2.0/24", "!", "-o", "nf-golden", "-j", "MASQUERADE")


def test_rules_of_a_newer_engine_are_read(golden: Golden) -> None:
    ruleset = parse_iptables_save(golden("iptables-save.forky.txt"))

    assert {table for table, _ in ruleset.chains} == {"raw", "filter", "nat"}
    assert [rule.target for rule in ruleset.of("raw", "PREROUTING")] == ["DROP", "DROP"]
    assert [rule.target for rule in ruleset.of("filter", "FORWARD")] == ["DOCKER-USER", "DOCKER-FORWARD"]
    assert ruleset.of("raw", "DOCKER") == []


@pytest.mark.parametrize("name", ["iptables-save.bookworm.txt", "iptables-save.forky.txt", "ip6tables-save.forky.txt"])
def test_evidence_has_every_rule_in_order(golden: Golden, name: str) -> None:
    """What the tool printed and what evidence shows differ in comments, counters and COMMIT alone."""
    text = golden(name)
    wanted = [
        line.partition(" [")[0] if line.startswith(":") else line
        for line in text.splitlines()
        if line and not line.startswith("#") and line != "COMMIT"
    ]

    ruleset = parse_iptables_save(text)

    assert ruleset.text().splitlines() == wanted
    assert ruleset.text("nat").splitlines() == wanted[wanted.index("*nat") :]
    assert ruleset.text("no such table") == ""


@pytest.mark.parametrize("text", ["", "\n", "# Warning: iptables-legacy tables present\n", "*filter\nCOMMIT\n"])
def test_no_rules_are_an_empty_ruleset(text: str) -> None:
    assert parse_iptables_save(text) == Ruleset()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("iptables-save: Permission denied", 1),
        ("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\noops\n", 4),
        ("-A INPUT -j ACCEPT", 1),
        ("*filter\n:INPUT\n", 2),
        ("*filter\n-A\n", 2),
        ('*filter\n-A INPUT -m comment --comment "open -j ACCEPT\n', 2),
        ("*filter\n-D INPUT -j ACCEPT\n", 2),
    ],
)
def test_text_of_another_tool_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ProbeError) as caught:
        parse_iptables_save(text)

    assert caught.value.where == f"line {line}"
    assert caught.value.returned


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("-A FORWARD -j DOCKER-USER", "DOCKER-USER"),
        ("-A FORWARD -g DOCKER-USER", "DOCKER-USER"),
        ("-A FORWARD -i docker0", ""),
        ("-A FORWARD -j", ""),
        ('-A FORWARD -m comment --comment "not -j DROP" -j ACCEPT', "ACCEPT"),
    ],
)
def test_target_of_a_rule_is_what_it_jumps_to(text: str, target: str) -> None:
    assert Rule("filter", "FORWARD", text).target == target


@pytest.mark.parametrize(
    ("quoted", "argument"),
    [
        ("plain", "plain"),
        ('"two words"', "two words"),
        (r'"it\'s"', "it's"),
        (r'"say \"x\""', 'say "x"'),
        (r'"a\\b"', r"a\b"),
        ('""', ""),
    ],
)
def test_spec_of_a_rule_takes_quotes_away_as_iptables_put_them(quoted: str, argument: str) -> None:
    rule = Rule("filter", "INPUT", f"-A INPUT -m comment --comment {quoted} -j DROP")

    assert rule.spec == ("-m", "comment", "--comment", argument, "-j", "DROP")


# -- properties

_PLAIN = string.ascii_letters + string.digits + "_-"
NAMES = st.text(_PLAIN, min_size=1, max_size=12)
# What iptables prints bare: neither quotes nor blanks.
BARE = st.text(string.ascii_letters + string.digits + "_-./:,!", min_size=1, max_size=10)
# Comments may hold anything printable: xtables_save_string() quotes them.
COMMENTS = st.text(string.printable.translate({ord(char): None for char in "\t\n\r\x0b\x0c"}), max_size=20)


def saved(argument: str) -> str:
    """A string as libxtables prints it: xtables_save_string() in iptables/libxtables/xtables.c."""
    if argument and all(char in _PLAIN for char in argument):
        return argument
    return '"' + "".join(f"\\{char}" if char in "\"\\'" else char for char in argument) + '"'


@st.composite
def rulesets(draw: st.DrawFn) -> tuple[str, dict[tuple[str, str], str], list[tuple[str, str, tuple[str, ...]]]]:
    """A ruleset as text, its chains, and its rules as table, chain and arguments."""
    lines: list[str] = []
    chains: dict[tuple[str, str], str] = {}
    rules: list[tuple[str, str, tuple[str, ...]]] = []
    for table in draw(st.lists(NAMES, unique=True, max_size=3)):
        names = draw(st.lists(NAMES, unique=True, min_size=1, max_size=3))
        lines += ["# Generated by iptables-save", f"*{table}"]
        for chain in names:
            chains[table, chain] = draw(st.sampled_from(["ACCEPT", "DROP", "-"]))
            lines.append(f":{chain} {chains[table, chain]} [{draw(st.integers(0, 10**12))}:0]")
        for _ in range(draw(st.integers(0, 4))):
            chain = draw(st.sampled_from(names))
            comment = draw(COMMENTS)
            matches = draw(st.lists(BARE, max_size=4))
            spec = (*matches, "--comment", comment, "-j", draw(NAMES))
            rules.append((table, chain, spec))
            printed = [saved(word) if word is comment else word for word in spec]
            lines.append(" ".join(["-A", chain, *printed]))
        lines.append("COMMIT")
    return "\n".join([*lines, ""]), chains, rules


@given(rulesets())
def test_what_iptables_prints_is_read_back_as_it_was(
    ruleset: tuple[str, dict[tuple[str, str], str], list[tuple[str, str, tuple[str, ...]]]],
) -> None:
    text, chains, rules = ruleset

    read = parse_iptables_save(text)

    assert read.chains == chains
    assert [(rule.table, rule.chain, rule.spec) for rule in read.rules] == rules
    assert parse_iptables_save(read.text()) == Ruleset(
        tuple(
            rule for table in dict.fromkeys(name for name, _ in chains) for rule in read.rules if rule.table == table
        ),
        chains,
    )


@given(st.text() | st.text("*:-A \"'\\\n#CDOMIT"))
@example("*t\n-A \x1c\n")
@example("*t\n:\x85 \n")
@example("*t\n-A x\x00\\\n")
def test_any_text_is_a_ruleset_or_a_probe_error(text: str) -> None:
    try:
        ruleset = parse_iptables_save(text)
    except ProbeError:
        return
    for rule in ruleset.rules:
        assert isinstance(rule.target, str)
        assert rule in ruleset.of(rule.table, rule.chain)
