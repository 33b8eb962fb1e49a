"""The firewall of an engine's machine, read with the engine's own tools: iptables-save and `nft -j`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from netfacts.engine import Engine
from netfacts.model.errors import ProbeError

_WORD = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Rule:
    """One rule, as iptables-save prints it: `text` is "-A CHAIN …"."""

    table: str
    chain: str
    text: str

    @property
    def spec(self) -> tuple[str, ...]:
        """Its matches and target as arguments, what `iptables -D CHAIN` takes."""
        return tuple(_arguments(self.text)[2:])

    @property
    def target(self) -> str:
        """What it jumps to, "" for none."""
        words = self.spec
        for flag in ("-j", "-g"):
            if flag in words[:-1]:
                return words[words.index(flag) + 1]
        return ""


@dataclass(frozen=True)
class Ruleset:
    """All that iptables-save prints. `chains` maps (table, chain) to its policy, "-" for a chain of a user's."""

    rules: tuple[Rule, ...] = ()
    chains: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, table: str, chain: str) -> list[Rule]:
        """The rules of one chain, in order."""
        return [rule for rule in self.rules if (rule.table, rule.chain) == (table, chain)]

    def text(self, table: str = "") -> str:
        """The rules as lines, for evidence."""
        tables = dict.fromkeys(name for name, _ in self.chains)
        lines: list[str] = []
        for name in tables:
            if table in ("", name):
                lines.append(f"*{name}")
                lines += [f":{chain} {policy}" for (of, chain), policy in self.chains.items() if of == name]
                lines += [rule.text for rule in self.rules if rule.table == name]
        return "\n".join(lines)


def rules(engine: Engine, *, family: int = 4) -> Ruleset:
    """Read the iptables rules of an engine's machine, in the variant that the engine uses.

    Raises: ProbeError.
    """
    tool = "iptables-save" if family == 4 else "ip6tables-save"
    done = engine.execute([tool])
    return parse_iptables_save(done.checked("could not read the firewall", ProbeError).out)


def parse_iptables_save(text: str) -> Ruleset:
    """Read what iptables-save prints.

    Raises: ProbeError for a line that is not iptables-save's.
    """
    table = ""
    found: list[Rule] = []
    chains: dict[tuple[str, str], str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#") or line == "COMMIT":
            continue
        words = line.split(maxsplit=2)
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith(":") and table and len(words) >= 2:
            chains[table, words[0][1:]] = words[1]
        elif line.startswith("-A ") and table and len(words) >= 2:
            rule = Rule(table, words[1], line.strip())
            _check_quotes(rule, number)
            found.append(rule)
        else:
            raise ProbeError("this is not what iptables-save prints", where=f"line {number}", returned=line)
    return Ruleset(tuple(found), chains)


def _check_quotes(rule: Rule, number: int) -> None:
    try:
        _arguments(rule.text)
    except ValueError as error:
        raise ProbeError("this is not what iptables-save prints", where=f"line {number}", returned=str(error)) from None


def _arguments(text: str) -> list[str]:
    """Cut a rule into arguments as iptables-restore does, which is not a shell's way.

    Only double quotes quote, and only within them a backslash takes the meaning from whatever follows.

    Raises: ValueError where a quotation does not end.
    """
    if _WORD.sub("", text).strip():
        raise ValueError(f"no closing quotation: {text}")
    return [_QUOTED.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted[1]), word) for word in _WORD.findall(text)]


def nft_ruleset(engine: Engine) -> list[dict[str, Any]]:
    """Read the nftables ruleset of an engine's machine: nft's JSON objects ("table", "chain", "rule", …), in order.

    Raises: ProbeError.
    """
    done = engine.execute(["nft", "-j", "list", "ruleset"])
    return parse_nft(done.checked("could not read the nftables ruleset", ProbeError).out)


def parse_nft(text: str) -> list[dict[str, Any]]:
    """Read what `nft -j list ruleset` prints.

    Raises: ProbeError.
    """
    try:
        said = json.loads(text)
        entries = said["nftables"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProbeError("`nft -j` printed no ruleset", returned=f"{error!r}\n{text[:200]}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProbeError("`nft -j` printed no list of objects", returned=text[:200])
    return [entry for entry in entries if "metainfo" not in entry]
