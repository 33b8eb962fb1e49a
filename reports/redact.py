"""Makes records that may be published of such that name somebody's machine. Pure: records in, records out.

What a run observed is redacted, also in fields that somebody adds later; what the catalogue and the suites say stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

import msgspec

from netfacts.model.record import (
    SCHEMA,
    HostLine,
    LabLine,
    PortraitLine,
    RunLine,
    SabotageLine,
    TimingLine,
    VerdictLine,
)
from netfacts.model.verdict import Evidence, Observation
from reports.censor import LEFT_OUT, PATH, Censor, is_address
from reports.record import Record
from reports.sheet import ROLES
from reports.standin import StandIns

_SAID = f"  {LEFT_OUT}"
_SSH = "ssh://"
OWN_TARGET = "embedded"
"""The target whose labs are netfacts' own; on others there are things of the user's beside them."""

_PUBLIC: Mapping[type, frozenset[str]] = {
    RunLine: frozenset(("netfacts", "target", "started_at", "shard", "catalogue")),
    LabLine: frozenset(("shape",)),
    PortraitLine: frozenset(("scenario",)),
    TimingLine: frozenset(("operation",)),
    VerdictLine: frozenset(("fact", "case", "verdict", "expected", "claim", "at")),
    SabotageLine: frozenset(("fact", "case", "sabotage", "turned")),
}
"""Fields whose words are the catalogue's, the suites' or netfacts' own; all others are redacted."""

_Struct = TypeVar("_Struct", bound=msgspec.Struct)

_RUN_ID = re.compile(rf"(?:[a-z]+-)?[0-9]{{8}}-[0-9]{{6}}-[0-9a-f]{{4}}|{'|'.join(ROLES)}")
_REDACTED = "-redacted"
# Words by which distributions call their kernels; who builds one may have put a name there.
_KERNEL = re.compile(
    r"[0-9]+(?:\.[0-9]+)*"
    r"(?:[-.+~_](?:[0-9]+(?:\.[0-9]+)*|rc[0-9]+|(?:deb|el|fc|arch|bpo|ubuntu|zen)[0-9]+(?:[_u+][0-9]+)*"
    r"|amd64|arm64|x86_64|aarch64|generic|cloud|rt|lts|virt|lowlatency|azure|aws|gcp|oracle|kvm|hwe|default|hardened|zen"
    r"|microsoft|standard|WSL2|linuxkit)"
    r"(?![A-Za-z0-9]))*"
)
_FLAG_WORDS = frozenset(
    (
        *("", "true", "false", "debug", "info", "warn", "error", "fatal", "host", "default", "systemd", "cgroupfs"),
        *("overlay2", "overlayfs", "vfs", "btrfs", "zfs", "local", "journald", "json-file", "nftables", "iptables"),
    )
)
# Of several VMs each change begins with whose it is.
_CHANGE = re.compile(r"(?P<where>\S+: )?(?P<kind>[+-] [a-z0-9 ]+: )")
_DESTINATION = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>\[[^\]]*\]|[^:/\[\]]*)")
_RULE = re.compile(r"(?:^|[\s,'\"(\[])-[AINP] [\w-]")
_SEARCHED = re.compile(r"^[ \t]*(?:search|domain)[ \t]+(.+)$", re.MULTILINE)


def redact(record: Record, *, hosts: Iterable[str] = (), words: Iterable[str] = ()) -> Record:
    """Give a record without what names a machine or its user.

    `hosts`: names of machines, which go where they stand as a word, unless the catalogue has that word as well, or a
    lab's machine. `words` go wherever they stand, also within others.
    """
    return redact_all({"": record}, hosts=hosts, words=words)[""]


def redact_all(
    records: Mapping[str, Record], *, hosts: Iterable[str] = (), words: Iterable[str] = ()
) -> dict[str, Record]:
    """Give several records without what names a machine or its user, with the same stand-ins in all of them.

    What only one of them tells to be a name goes from the others, too.
    """
    public = set().union(*map(_vocabulary, records.values()))
    found = [*hosts, *(host for record in records.values() for host in _hosts(record))]
    kernels = {kernel: _kernel(kernel) for record in records.values() for kernel in _kernels(record)}
    named = [part for host in found for part in _parts(host) if part.lower() not in public]
    stand_ins, words = StandIns(), tuple(words)
    return {
        role: _Redactor(
            record,
            Censor(stand_ins=stand_ins, hosts=named, words=words, renamed=kernels, made=_names(record)),
        ).record()
        for role, record in records.items()
    }


class _Redactor:
    """Redacts one record."""

    def __init__(self, record: Record, censor: Censor) -> None:
        self._record = record
        self._censor = censor
        self._own = record.run.target == OWN_TARGET
        self._claims = {fact.claim for fact in record.facts}

    def record(self) -> Record:
        old = self._record
        return msgspec.structs.replace(
            old,
            run=self._run(old.run),
            labs=tuple(map(self._line, old.labs)),
            portraits=tuple(map(self._line, old.portraits)),
            verdicts=tuple(map(self._verdict, old.verdicts)),
            sabotages=tuple(map(self._sabotage, old.sabotages)),
            host=self._host(old.host) if old.host else None,
        )

    # -- lines

    def _line(self, line: _Struct) -> _Struct:
        public = _PUBLIC.get(type(line), frozenset())
        values = {name: self._value(getattr(line, name)) for name in line.__struct_fields__ if name not in public}
        return msgspec.structs.replace(line, **values)

    def _value(self, value: Any) -> Any:
        if isinstance(value, msgspec.Struct):
            return self._line(value)
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self._censor.text(value)
        if isinstance(value, list):
            return [self._value(entry) for entry in value]
        if isinstance(value, dict):
            return {self._censor.text(key): self._value(entry) for key, entry in value.items()}
        return value

    def _run(self, run: RunLine) -> RunLine:
        identity = run.run_id.removesuffix(_REDACTED)
        engines = {
            key: engine
            and msgspec.structs.replace(engine, spec=self._spec(engine.spec), flags=list(self._flags(engine.flags)))
            for key, engine in (("engine", run.engine), ("predecessor", run.predecessor))
        }
        return msgspec.structs.replace(
            self._line(run),
            schema=SCHEMA,
            redacted=True,
            run_id=(identity if _RUN_ID.fullmatch(identity) else "run") + _REDACTED,
            kernel=", ".join(map(_kernel, _kernels(self._record))),
            target=f"{_SSH}{LEFT_OUT}" if run.target.startswith(_SSH) else run.target,
            **engines,
        )

    def _spec(self, spec: str) -> str:
        kind, colon, _ = spec.partition(":")
        return f"{kind}:{PATH}" if colon and kind in ("static", "rootfs") else self._censor.text(spec)

    def _flags(self, flags: Iterable[str]) -> Iterator[str]:
        """Flags with the values that are addresses or in everybody's use."""
        for flag in flags:
            if self._own:
                yield self._censor.text(flag)
                continue
            name, equals, value = flag.partition("=") if flag.startswith("-") else ("", "", flag)
            value = value if value in _FLAG_WORDS else self._censor.text(value)
            harmless = value in _FLAG_WORDS or is_address(value)
            yield f"{name}{equals}{value if harmless else LEFT_OUT}"

    def _verdict(self, line: VerdictLine) -> VerdictLine:
        if not self._own:
            # The whole machine is in them: names of other containers, of chains, of interfaces, comments.
            line = msgspec.structs.replace(
                line,
                evidence=_left_out(line.evidence),
                state=_left_out(line.state),
                observed=[_without_listings(seen) for seen in line.observed],
                reason=_without_listings_of(line.observed, line.reason),
            )
        redacted = self._line(msgspec.structs.replace(line, captures=[], reason=""))
        return msgspec.structs.replace(redacted, reason=self._reason(line.reason))

    def _sabotage(self, line: SabotageLine) -> SabotageLine:
        redacted = self._line(msgspec.structs.replace(line, reason=""))
        return msgspec.structs.replace(redacted, reason=self._reason(line.reason))

    def _reason(self, reason: str) -> str:
        """A reason, which may repeat the claim.

        On somebody's machine without what engines and tools said, which is set in by two spaces.
        """
        lines: list[str] = []
        for line in reason.split("\n"):
            if line in self._claims:
                lines.append(line)
            elif self._own or not _is_said(line):
                lines.append(self._censor.text(line))
            elif lines[-1:] != [_SAID]:
                lines.append(_SAID)
        return "\n".join(lines)

    def _host(self, line: HostLine) -> HostLine:
        """What kinds of things came and went, without the things."""
        lists = {name: value for name in line.__struct_fields__ if isinstance(value := getattr(line, name), list)}
        return msgspec.structs.replace(
            self._line(line),
            **{name: [self._kind_of(entry) for entry in entries] for name, entries in lists.items()},
            unknown=self._reason(line.unknown),
        )

    def _kind_of(self, change: str) -> str:
        match = _CHANGE.match(change)
        return f"{self._censor.text(match['where'] or '')}{match['kind']}{LEFT_OUT}" if match else LEFT_OUT


def _left_out(evidence: list[Evidence]) -> list[Evidence]:
    return [msgspec.structs.replace(one, text=LEFT_OUT) for one in evidence]


def _without_listings(seen: Observation) -> Observation:
    return msgspec.structs.replace(
        seen, **{name: LEFT_OUT for name in ("observed", "expected") if _is_listing(getattr(seen, name))}
    )


def _without_listings_of(observed: Iterable[Observation], reason: str) -> str:
    """Give a reason that says of each observation what was expected and what was seen."""
    for seen in observed:
        for told in (f"expected {seen.expected}", f"saw {seen.observed}"):
            if _is_listing(told):
                reason = reason.replace(told, f"{told.partition(' ')[0]} {LEFT_OUT}")
    return reason


def _is_listing(text: str) -> bool:
    """Whether a text has firewall rules in it, or several lines, which are most often those of a file or a tool."""
    return "\n" in text or _RULE.search(text) is not None


def _is_said(line: str) -> bool:
    return line.startswith("  ") and not line.lstrip().startswith("→")


def _names(record: Record) -> Iterator[str]:
    """Names of what stood in the labs."""
    for observed in (*(line.observed for line in record.verdicts), *(line.observed for line in record.sabotages)):
        yield from (seen.vantage for seen in observed if seen.vantage)
    for line in record.verdicts:
        yield from (network.name for network in line.scene.networks)
        yield from (container.name for container in line.scene.containers)
    for lab in record.labs:
        yield from (machine.name for machine in lab.machines)


def _vocabulary(record: Record) -> set[str]:
    """Words that no machine is known by, in small letters."""
    texts = [record.run.machine, "localhost", *re.findall(r"^(?:debian|ubuntu):.*", record.run.engine.spec)]
    texts += [text for fact in record.facts for text in (fact.fact, fact.claim, fact.note, *fact.show)]
    texts += [machine.name for lab in record.labs for machine in lab.machines]
    return {word for text in texts for word in re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", text.lower())}


def _hosts(record: Record) -> Iterator[str]:
    """The names of machines that a record tells of a target that is not netfacts' own."""
    if record.run.target != OWN_TARGET:
        yield from _searched(record)
        yield from _visited(record.run.target)


def _searched(record: Record) -> Iterator[str]:
    """The domains in which a machine looks names up."""
    for line in record.verdicts:
        for piece in (*line.evidence, *line.state):
            for match in _SEARCHED.finditer(piece.text):
                yield from (domain.strip(".") for domain in match[1].split())


def _visited(target: str) -> Iterator[str]:
    """The VMs that were visited over ssh, and the users who did so, where these are names."""
    if target.startswith(_SSH):
        for one in target.split(","):
            match = _DESTINATION.match(one.removeprefix(_SSH))
            for name in (match["host"].strip("[]"), match["user"]) if match else ():
                if name and name not in ("root", LEFT_OUT) and not is_address(name):
                    yield name


def _parts(host: str) -> Iterator[str]:
    """A host's name, its first part alone and its domain."""
    name, _, domain = host.strip(".").partition(".")
    yield from filter(None, (host, name, domain if "." in domain else ""))


def _kernels(record: Record) -> list[str]:
    """The kernels that a record names: of merged shards there may be several."""
    return record.run.kernel.split(", ")


def _kernel(release: str) -> str:
    """A kernel's release without what only its builder calls it."""
    match = _KERNEL.match(release)
    return match.group() if match else LEFT_OUT
