"""The summary of a record for a terminal: what a reader needs on one screen, and where the rest stands."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from netfacts.model.record import HostLine
from netfacts.model.rounds import quartiles
from netfacts.model.verdict import Verdict
from reports.record import Record
from reports.summary import Judged, Summary, summarise
from reports.wording import VERDICTS, case_name, count, duration, figure, headline, visible

_STYLES = {
    Verdict.DEVIATES: "bold red",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.CONFORMS: "green",
    Verdict.NOT_EXERCISED: "dim",
}
_MOST_PROBLEMS = 8
_REASON_LINES = 3
_MOST_CHANGES = 12


def show(record: Record, page: Path, *, console: Console) -> None:
    """Print the summary of a record; `page` is named as the place to read on."""
    console.print(render(record, page))


def render(record: Record, page: Path) -> RenderableType:
    """Give the summary as something rich can print."""
    summary = summarise(record.facts, record.verdicts, interrupted=record.interrupted)
    parts: list[RenderableType] = [Text(), _headline(record, summary)]
    if record.verdicts or not record.sabotages:
        parts += [Text(), _areas(summary)]
        parts += _problems(summary)
    parts += [*_survivors(record), Text(), *_ratios(record), *_footer(record, page)]
    return Group(*parts)


def _headline(record: Record, summary: Summary) -> Text:
    survived = any(not line.killed for line in record.sabotages if line.tried)
    bad = summary.totals.deviates or survived
    unsure = record.interrupted or summary.totals.inconclusive
    style = "bold red" if bad else "bold yellow" if unsure else "bold green"
    return Text(visible(headline(summary.totals, record)), style=style)


def _areas(summary: Summary) -> Table:
    table = Table(box=None, pad_edge=False, show_header=True, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("area")
    shown = [verdict for verdict in VERDICTS if summary.totals.of(verdict)]
    for verdict in shown:
        table.add_column(VERDICTS[verdict][1], justify="right")
    for area in summary.areas:
        cells = [Text(str(area.totals.of(verdict) or "·"), style=_STYLES[verdict]) for verdict in shown]
        table.add_row(Text(visible(area.name)), *cells)
    return table


def _problems(summary: Summary) -> list[RenderableType]:
    bad = [judged for judged in summary.facts if judged.verdict in (Verdict.DEVIATES, Verdict.INCONCLUSIVE)]
    left_out = [judged for judged in summary.facts if judged.verdict is Verdict.NOT_EXERCISED]
    parts: list[RenderableType] = []
    for judged in bad[:_MOST_PROBLEMS]:
        parts += [Text(), _problem(judged)]
    if len(bad) > _MOST_PROBLEMS:
        parts += [Text(), Text(f"… and {len(bad) - _MOST_PROBLEMS} more: see the page", style="dim")]
    if left_out:
        parts.append(Text())
        reasons: dict[str, list[str]] = {}
        for judged in left_out:
            reasons.setdefault(judged.reason, []).append(judged.fact.fact)
        for reason, facts in list(reasons.items())[:_MOST_PROBLEMS]:
            named = ", ".join(facts) if len(facts) <= 4 else f"{len(facts)} facts"
            parts.append(Text(visible(f"– not exercised: {named}: {reason}"), style="dim"))
    return parts


def _problem(judged: Judged) -> RenderableType:
    sign, word = VERDICTS[judged.verdict]
    title = Text.assemble((f"{sign} {visible(judged.fact.fact)}", _STYLES[judged.verdict]), (f"  {word}", "dim"))
    lines = visible(judged.reason).splitlines()
    said = "\n".join(lines[:_REASON_LINES] + (["…"] if len(lines) > _REASON_LINES else []))
    return Group(title, Padding(Text(said), (0, 0, 0, 2)))


def _survivors(record: Record) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for line in record.sabotages:
        if line.tried and not line.killed:
            first = line.reason.partition("\n")[0]
            said = f"✗ {line.fact} survived: {line.sabotage or first} → {line.turned or 'never run'}"
            parts.append(Text(visible(said), style="bold red"))
            if line.sabotage and line.reason:
                parts.append(Padding(Text(visible(first), style="dim"), (0, 0, 0, 2)))
    return [Text(), *parts] if parts else []


def _ratios(record: Record) -> list[Text]:
    """What was measured in turns: a line for each ratio, with the medians that it is of."""
    lines: list[Text] = []
    for line in record.verdicts:
        for one in line.measured:
            if one.rounds is not None:
                medians = " : ".join(figure(quartiles(each).middle, "") for each in one.rounds.series.values() if each)
                case = case_name(line, record.run)
                name = line.fact + (f" [{case}]" if case else "")
                said = f"ratio   {name}: {one.what} {figure(one.value, one.unit)} ({medians} {one.rounds.unit})"
                lines.append(Text(visible(said), style="dim"))
    return lines


def _host(host: HostLine) -> list[Text]:
    if host.is_as_before:
        unread = f" (not compared, as only root may read it: {', '.join(host.unread)})" if host.unread else ""
        return [Text(visible(f"host    as it was before{unread}"), style="dim")]
    said = [f"✗ could not be compared: {host.unknown}"] if host.unknown else []
    if host.left:
        said.append(f"✗ {count(len(host.left), 'difference')} that the run made, or that nothing else explains:")
    lines = [Text(visible(f"host    {line}"), style="bold red") for line in said]
    lines += [Text(visible(f"  {change}"), style="red") for change in host.left[:_MOST_CHANGES]]
    if len(host.left) > _MOST_CHANGES:
        lines.append(Text(f"  … and {len(host.left) - _MOST_CHANGES} more: see the page", style="dim"))
    return lines


def _footer(record: Record, page: Path) -> list[RenderableType]:
    engine = record.run.engine
    part = f" · shard {record.run.shard}" if record.run.shard else ""
    lines = [
        Text(
            visible(
                f"engine  {engine.version} ({engine.spec}), API {engine.api}, {engine.firewall}"
                f" · kernel {record.run.kernel} · {record.run.machine}{part}"
            ),
            style="dim",
        )
    ]
    if record.end is not None:
        end = record.end
        built = f"{count(end.labs, 'lab')}, {count(end.engines, 'engine')}, {count(end.containers, 'container')}"
        lines.append(Text(visible(f"took    {duration(end.duration_s)}: {built}"), style="dim"))
        if end.slowest:
            slow = ", ".join(f"{fact} {duration(spent)}" for fact, spent in end.slowest)
            lines.append(Text(visible(f"slowest {slow}"), style="dim"))
    if record.host is not None:
        lines += _host(record.host)
    return [*lines, Text.assemble(("page    ", "dim"), (visible(str(page)), "bold"))]
