"""Records of the shards of one run become one record, as if one machine had done it all. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from xml.etree import ElementTree

import msgspec

from netfacts.catalogue.shard import Shard
from netfacts.model.errors import UsageError
from netfacts.model.record import EndLine, FactLine, Line, RunLine, TimingLine
from reports.record import Record
from reports.summary import exit_code, summarise
from reports.wording import count

_SLOWEST = 10
_REMEDY = "merge the shards of one run: same engine, target and catalogue, each shard once"


@dataclass(frozen=True)
class Merged:
    """A record of several shards. `warnings` say why it is not whole; it counts as interrupted then."""

    record: Record
    warnings: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """What a run would end with that came to this."""
        return 2 if self.record.end is None else exit_code(self.record.end, self.record.sabotages)


def merge(records: Mapping[str, Record], *, run_id: str) -> Merged:
    """Make one record of those of the shards of a run, each given by the place that it comes from.

    Raises: UsageError for records that don't belong together.
    """
    shards = _shards(records)
    places = {shard.number: where for where, shard in shards.items()}
    of = next(iter(shards.values())).of
    ordered = {places[number]: records[places[number]] for number in sorted(places)}
    _refuse_strangers(ordered)
    missing = [str(Shard(number, of)) for number in range(1, of + 1) if number not in places]
    warnings = [
        *([f"{count(len(missing), 'shard is', 'shards are')} missing: {', '.join(missing)}"] if missing else []),
        *(f"shard {shards[where]} was interrupted ({where})" for where, one in ordered.items() if one.interrupted),
        *(
            f"shard {shards[where]} came to no facts ({where})"
            for where, one in ordered.items()
            if not one.facts and not one.interrupted
        ),
    ]
    shard = f"{','.join(map(str, sorted(places)))}/{of}" if missing else ""
    record = _one(tuple(ordered.values()), run_id=run_id, shard=shard, interrupted=bool(warnings))
    return Merged(record, tuple(warnings))


def lines(record: Record) -> Iterator[Line]:
    """Give the lines of a record in the order in which a run writes them."""
    yield record.run
    yield from chain(record.labs, record.portraits, record.timings, record.facts, record.verdicts, record.sabotages)
    yield from filter(None, (record.host, record.end))


def junit(shards: Mapping[str, bytes]) -> bytes:
    """Make one JUnit file of several, each given by its shard, whose suites keep their own.

    Raises: UsageError for what is no JUnit file.
    """
    together = ElementTree.Element("testsuites", name="netfacts")
    for shard, text in shards.items():
        try:
            root = ElementTree.fromstring(text)  # noqa: S314 - pytest wrote it, and expat bounds what entities expand to
        except ElementTree.ParseError as error:
            raise UsageError("could not read a JUnit file", where=f"shard {shard}", returned=str(error)) from None
        for suite in root.iter("testsuite"):
            suite.set("name", f"shard {shard}")
            together.append(suite)
    data: bytes = ElementTree.tostring(together, encoding="utf-8", xml_declaration=True)
    return data


def _shards(records: Mapping[str, Record]) -> dict[str, Shard]:
    if not records:
        raise UsageError("there are no records to merge", remedy=_REMEDY)
    found: dict[str, Shard] = {}
    for where, record in records.items():
        if not record.run.shard:
            raise UsageError(
                "this record is of a whole run, not of a shard",
                where=where,
                remedy="`netfacts run --shard 1/3` records a shard",
            )
        try:
            shard = Shard.parse(record.run.shard)
        except UsageError:
            raise UsageError(
                "this record is itself merged, of some shards only",
                where=where,
                returned=f"shards {record.run.shard}",
                remedy="merge the records that it was made of anew, with those that were missing",
            ) from None
        for other, there in found.items():
            if shard.of != there.of:
                raise _strangers(other, where, f"one is shard {there}, the other {shard}")
            if shard == there:
                raise _strangers(other, where, f"both are shard {shard}")
        found[where] = shard
    return found


def _refuse_strangers(records: Mapping[str, Record]) -> None:
    (first, one), *others = records.items()
    for where, other in others:
        for what, mine, yours in zip(_IDENTITY, _identity(one), _identity(other), strict=True):
            if mine != yours:
                raise _strangers(first, where, f"{what}: {mine} and {yours}")
    known: dict[str, tuple[str, FactLine]] = {}
    judged: dict[str, str] = {}
    for where, record in records.items():
        for fact in record.facts:
            there, line = known.setdefault(fact.fact, (where, fact))
            if msgspec.structs.replace(line, selected=fact.selected) != fact:
                raise _strangers(there, where, f"the catalogues differ in {fact.fact}")
            if fact.selected and judged.setdefault(fact.fact, where) != where:
                raise _strangers(judged[fact.fact], where, f"both judge {fact.fact}: other facts were selected by -k")


_IDENTITY = (
    *("engine", "version of the engine", "firewall", "predecessor", "target", "schema", "netfacts"),
    *("facts in the catalogue", "sabotages", "redacted"),
)


def _identity(record: Record) -> tuple[object, ...]:
    """What the shards of a run have in common, in the order of _IDENTITY."""
    run = record.run
    before = f"{run.predecessor.spec} {run.predecessor.version}" if run.predecessor else "none"
    return (
        *(run.engine.spec, run.engine.version, run.engine.firewall, before, run.target, run.schema, run.netfacts),
        *(run.catalogue.get("facts"), "only" if record.sabotages and not record.verdicts else "none"),
        "yes" if run.redacted else "no",
    )


def _strangers(one: str, other: str, returned: str) -> UsageError:
    return UsageError(
        "these records don't belong together", where=f"{one} and {other}", returned=returned, remedy=_REMEDY
    )


def _one(records: Sequence[Record], *, run_id: str, shard: str, interrupted: bool) -> Record:
    facts = _facts(records)
    verdicts = tuple(line for record in records for line in record.verdicts)
    merged = Record(
        run=_run(records, run_id=run_id, shard=shard),
        labs=tuple({line.shape: line for record in records for line in record.labs}.values()),
        facts=facts,
        portraits=tuple({line.scenario: line for record in records for line in record.portraits}.values()),
        timings=_timings(records),
        verdicts=verdicts,
        sabotages=tuple(line for record in records for line in record.sabotages),
    )
    ends = [record.end for record in records if record.end is not None]
    end = EndLine(
        facts=asdict(summarise(facts, verdicts, interrupted=interrupted).totals),
        # Of machine time: the shards may have run at once.
        duration_s=round(sum(end.duration_s for end in ends), 2),
        interrupted=interrupted,
        labs=sum(end.labs for end in ends),
        engines=sum(end.engines for end in ends),
        containers=sum(end.containers for end in ends),
        networks=sum(end.networks for end in ends),
        probes=sum(end.probes for end in ends),
        # Each shard names its ten, so those of all are among them.
        slowest=sorted((pair for end in ends for pair in end.slowest), key=lambda pair: -pair[1])[:_SLOWEST],
    )
    return msgspec.structs.replace(merged, end=end)


def _run(records: Sequence[Record], *, run_id: str, shard: str) -> RunLine:
    runs = [record.run for record in records]
    missing: dict[str, str] = {}
    for run in runs:
        missing |= run.missing
    return msgspec.structs.replace(
        runs[0],
        run_id=run_id,
        kernel=", ".join(dict.fromkeys(run.kernel for run in runs)),
        machine=", ".join(dict.fromkeys(run.machine for run in runs)),
        started_at=min(run.started_at for run in runs),
        missing=missing,
        shard=shard,
    )


def _facts(records: Sequence[Record]) -> tuple[FactLine, ...]:
    """All facts in the catalogue's order, selected where one shard has selected them."""
    found: dict[str, FactLine] = {}
    for record in records:
        for fact in record.facts:
            if fact.selected or fact.fact not in found:
                found[fact.fact] = fact
    return tuple(found.values())


def _timings(records: Sequence[Record]) -> tuple[TimingLine, ...]:
    found: dict[str, list[float]] = {}
    for record in records:
        for line in record.timings:
            found.setdefault(line.operation, []).extend(line.took_s)
    return tuple(TimingLine(operation=operation, took_s=took) for operation, took in found.items())
