"""The table of docs/support-matrix.md, made of several runs: which systems were exercised where, which not, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from netfacts.catalogue.chapters import Chapter
from netfacts.catalogue.load import FACTS
from netfacts.model.errors import UsageError
from netfacts.model.fact import NEEDS
from netfacts.model.record import FactLine, RunLine
from netfacts.model.verdict import Verdict
from reports import html, upgrade
from reports.comparison import lines
from reports.record import Record, locate
from reports.record import read as read_record
from reports.side import Side, named, sides
from reports.wording import count, visible

PAGE = FACTS.parent / "docs" / "support-matrix.md"

BEGIN = "<!-- made by `netfacts facts support --write` from here … -->"
END = "<!-- … to here -->"

_PAGE = f"""\
# What is exercised on which engine

Each row is a system of Docker networking, each column an engine on a kernel, and each cell what a run came to there.
A fact *conforms* that is as documented for this version, be it that it holds or that it does not
([reading-a-report.md](reading-a-report.md)); what was exercised conforms unless a cell says otherwise. *Absent* is what
this version does not have, as documented. What a kernel lacks is said beside the facts that need it. A dash: no run has
tried it there.

{BEGIN}
{END}
"""

_APART = {
    "swarm": "swarm",
    "ipvlan": "ipvlan",
    "flannel": "flannel",
    "calico": "calico",
    "remote.driver-protocol": "remote driver",
}
"""Groups and single facts that are systems of their own, though the area that they stand in is called otherwise."""


@dataclass(frozen=True)
class Standing:
    """What became of one fact in one column; `why` is for one that was not exercised. No verdict: it was not tried."""

    verdict: Verdict | None = None
    absent: bool = False
    why: str = ""

    @property
    def exercised(self) -> bool:
        """Whether the fact was put to the engine."""
        return self.verdict not in (None, Verdict.NOT_EXERCISED)


@dataclass(frozen=True)
class Column:
    """What the runs of one engine on one kernel came to; `missing` maps what that lacks to how to mend it."""

    run: RunLine
    facts: Mapping[str, Standing]
    missing: Mapping[str, str]

    @property
    def title(self) -> str:
        """Name the engine, the kernel, and whether both are somebody's."""
        words = (self.run.engine.version, f"Linux {self.run.kernel}", *(["visited"] if _visited(self.run) else []))
        return "<br>".join(map(_text, words))


def system(fact: str, area: str) -> str:
    """Name the system that a fact is about: mostly its area."""
    return _APART.get(fact) or _APART.get(fact.partition(".")[0]) or area


def read(places: Iterable[Path]) -> tuple[Record, ...]:
    """Read runs, each from its folder or record; of the folder of an upgrade the runs `before` and `after`.

    Raises: UsageError for what is neither, and for a run that says nothing of an engine by itself.
    """
    found: list[Record] = []
    for place in places:
        if upgrade.is_one(place):
            of_upgrade = upgrade.records(place)
            found += [of_upgrade["before"], of_upgrade["after"]]
        else:
            found.append(read_record(locate(place)))
    for record in found:
        _refuse_unfit(record)
    return tuple(found)


def require_whole(records: Iterable[Record]) -> None:
    """Raises: UsageError where no run selected all facts: a table of parts is not to take the place of a whole one."""
    if not any(record.facts and all(line.selected for line in record.facts) for record in records):
        raise UsageError(
            "none of these runs selected all facts",
            returned="the table would lose what these runs left out",
            remedy="give a run without -k and --shard, too; without --write the table is printed",
        )


def markdown(records: Iterable[Record], chapters: Iterable[Chapter]) -> str:
    """Give the table of some runs, and below it what the kernels lack; columns stand as the runs do.

    `chapters` of the guide give the rows their order, and say what each is about.
    """
    records = tuple(records)
    columns = tuple(_columns(records))
    facts = lines(*records)
    rows = list(_rows(facts, tuple(chapters)))
    table = [
        _line("system", "about", *(column.title for column in columns)),
        _line(*["---"] * (len(columns) + 2)),
        *(
            _line(f"**{name}**", about, *(_cell(members, column) for column in columns))
            for name, about, members in rows
        ),
        _line("all", "", *(_total(facts, column) for column in columns)),
    ]
    return "\n".join([*table, *_lacking(facts, columns), "", *_runs(columns)]) + "\n"


def insert(table: str, page: str = _PAGE) -> str:
    """Put a table between the two marks of a page, in place of what was there.

    Raises: UsageError for a page without them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UsageError(
            "the page does not say where its table stands",
            remedy=f"put these two lines where it shall be:\n{BEGIN}\n{END}",
        )
    return f"{before}{BEGIN}\n\n{table}\n{END}{after}"


def write(table: str, target: Path) -> Path:
    """Put a table into a page, which is made where there is none, and give where it is.

    Raises: UsageError for a page that can't be read or written, or has no place for a table.
    """
    try:
        page = target.read_text("utf-8") if target.exists() else _PAGE
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("could not read the page", where=str(target), returned=str(error)) from None
    try:
        page = insert(table, page)
    except UsageError as error:
        raise UsageError(error.attempted, where=str(target), remedy=error.remedy) from None
    return html.replace(target, page, what="the page", remedy="run netfacts from a checkout of yours")


def _refuse_unfit(record: Record) -> None:
    returned = ""
    if record.sabotages:
        returned = "its engines were broken on purpose: it says whether checks notice, and nothing of an engine"
    elif record.run.predecessor:
        returned = "one engine took another's place in it, and what is told here is what an engine does by itself"
    if returned:
        raise UsageError(
            "this run does not say what an engine supports",
            where=f"run {record.run.run_id}",
            returned=returned,
            remedy="give the record of a `netfacts run` without --from",
        )


def _visited(run: RunLine) -> bool:
    return run.target != "embedded"


def _columns(records: Iterable[Record]) -> Iterator[Column]:
    """Put runs of the same engine on the same kernel together: of a fact that several have tried the worst counts."""
    by: dict[tuple[str, str, bool], list[Record]] = {}
    for record in records:
        run = record.run
        by.setdefault((run.engine.version, run.kernel, _visited(run)), []).append(record)
    for members in by.values():
        facts: dict[str, Standing] = {}
        for record in members:
            for fact, found in _standings(record):
                facts[fact] = min(facts.get(fact, found), found, key=lambda one: _WORST_FIRST.index(one.verdict))
        missing = {need: remedy for record in members for need, remedy in record.run.missing.items()}
        yield Column(members[-1].run, facts, missing)


_WORST_FIRST = (Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.CONFORMS, Verdict.NOT_EXERCISED, None)


def _standings(record: Record) -> Iterator[tuple[str, Standing]]:
    by_fact = {line.fact: line for line in record.facts}
    for fact, side in sides(record).items():
        why = _why(by_fact[fact], side, record.run.missing) if side.verdict is Verdict.NOT_EXERCISED else ""
        yield fact, Standing(side.verdict, side.absent, why)


def _why(fact: FactLine, side: Side, missing: Mapping[str, str]) -> str:
    """Say in few words why a fact was not exercised."""
    if lacking := [need for need in fact.needs if need in missing]:
        return f"no {' and no '.join(lacking)}"
    return _text(side.reason.partition("\n")[0]) or "no reason was recorded"


def _rows(facts: Mapping[str, FactLine], chapters: tuple[Chapter, ...]) -> Iterator[tuple[str, str, list[str]]]:
    """Give each system with the title of the chapter that has the most of its facts, and its facts."""
    titles = {fact.id: chapter.title for chapter in chapters for fact in chapter.facts}
    by: dict[str, list[str]] = {}
    for fact, line in facts.items():
        by.setdefault(system(fact, line.area), []).append(fact)
    order = {title: number for number, title in enumerate(dict.fromkeys(titles.values()))}
    told = {name: Counter(titles[fact] for fact in members if fact in titles) for name, members in by.items()}
    about = {name: found.most_common(1)[0][0] if found else "" for name, found in told.items()}
    for name in sorted(by, key=lambda name: order.get(about[name], len(order))):
        yield name, about[name], by[name]


def _cell(members: Iterable[str], column: Column) -> str:
    found = {fact: column.facts.get(fact, Standing()) for fact in members}
    tried = {fact: one for fact, one in found.items() if one.verdict}
    there = {fact: one for fact, one in tried.items() if not one.absent}
    if not there:
        return "absent" if tried else "–"
    exercised = [fact for fact, one in there.items() if one.exercised]
    text = _counted(list(there.values()))
    if len(exercised) < len(there):
        by: dict[str, list[str]] = {}
        for fact, one in there.items():
            if not one.exercised:
                by.setdefault(one.why, []).append(fact)
        # Where one reason keeps all facts from being exercised, their names would say nothing.
        text += ": " + ", ".join(
            why if len(those) == len(there) else f"{why} ({_names(those)})" for why, those in by.items()
        )
    for word, those in (
        ("**deviates**", [fact for fact, one in there.items() if one.verdict is Verdict.DEVIATES]),
        ("**inconclusive**", [fact for fact, one in there.items() if one.verdict is Verdict.INCONCLUSIVE]),
        ("absent", [fact for fact, one in tried.items() if one.absent]),
    ):
        if those:
            text += f"; {word}: {_names(those)}"
    return text + _untried(len(found) - len(tried))


def _total(facts: Iterable[str], column: Column) -> str:
    found = [column.facts.get(fact, Standing()) for fact in facts]
    tried = [one for one in found if one.verdict]
    there = [one for one in tried if not one.absent]
    parts = [_counted(there)]
    if number := sum(one.verdict is Verdict.DEVIATES for one in there):
        parts.append(f"**{count(number, 'deviates', 'deviate')}**")
    if number := sum(one.verdict is Verdict.INCONCLUSIVE for one in there):
        parts.append(f"**{number} inconclusive**")
    if len(tried) > len(there):
        parts.append(f"{len(tried) - len(there)} absent")
    return "; ".join(parts) + _untried(len(found) - len(tried))


def _counted(there: list[Standing]) -> str:
    exercised = sum(one.exercised for one in there)
    if exercised < len(there):
        return f"{exercised} of {len(there)} exercised"
    return f"{sum(one.verdict is Verdict.CONFORMS for one in there)} of {len(there)} conform"


def _untried(number: int) -> str:
    return f"; {number} not tried" if number else ""


def _names(facts: list[str]) -> str:
    return named(f"`{fact}`" for fact in facts)


def _lacking(facts: Mapping[str, FactLine], columns: Iterable[Column]) -> Iterator[str]:
    """Tell of each feature that facts need and a kernel lacks what it means, where, and what would help."""
    where: dict[str, dict[str, list[str]]] = {}
    for column in columns:
        needed = {need for fact, one in column.facts.items() if one.verdict for need in facts[fact].needs}
        for need, remedy in column.missing.items():
            if need in needed:
                kernels = where.setdefault(need, {}).setdefault(remedy, [])
                kernels += [column.run.kernel] if column.run.kernel not in kernels else []
    if where:
        yield from ("", _line("missing", "it means", "on Linux", "what would help"), _line(*["---"] * 4))
    for need, remedies in sorted(where.items()):
        for remedy, kernels in remedies.items():
            yield _line(f"`{need}`", NEEDS.get(need, ""), _text(", ".join(kernels)), _text(remedy))


def _runs(columns: Iterable[Column]) -> Iterator[str]:
    yield from (_line("engine", "API", "firewall", "kernel", "machine", "on"), _line(*["---"] * 6))
    for column in columns:
        run = column.run
        told = (run.engine.version, run.engine.api, run.engine.firewall, run.kernel, run.machine, run.started_at[:10])
        yield _line(*map(_text, told))


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _text(said: str) -> str:
    """Give a record's words so that they neither end a cell nor are an element or a comment."""
    return " ".join(visible(said).split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
