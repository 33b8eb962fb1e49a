"""The summary of a comparison or an upgrade for a terminal: the sentence, what is worrying, what is documented."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from reports.change_wording import CHANGES, WHERE, counted, state
from reports.sheet import PLACES, FactRow, Sheet
from reports.wording import count, visible

_STYLES = {
    "regressed": "bold red",
    "new_deviating": "bold red",
    "still_deviating": "red",
    "changed_as_documented": "blue",
    "lost": "bold yellow",
    "unclear": "yellow",
    "fixed": "green",
    "new": "green",
}
# What a reader must see first, then what is documented, then the rest.
_AT_LENGTH = ("regressed", "new_deviating", "still_deviating")
_ORDER = (*_AT_LENGTH, "changed_as_documented", "lost", "unclear", "fixed", "new")
_MOST = 8
_MOST_IN_SHORT = 24
_REASON_LINES = 3


def show(sheet: Sheet, page: Path, *, console: Console) -> None:
    """Print the summary of a sheet; `page` is named as the place to read on."""
    console.print(render(sheet, page))


def render(sheet: Sheet, page: Path) -> RenderableType:
    """Give the summary as something rich can print."""
    parts: list[RenderableType] = [Text(), Text(visible(sheet.headline), style=_headline_style(sheet))]
    parts += [Text(f"! {visible(warning)}", style="yellow") for warning in sheet.warnings]
    for kind in _ORDER:
        rows = [row for row in sheet.facts if row.kind == kind and row.seen]
        if rows:
            parts += [Text(), *_section(sheet, kind, rows, page)]
    back = sum(any(seen.kind in ("regressed", "lost", "new_deviating") for seen in row.back) for row in sheet.facts)
    if sheet.run("back"):
        said = count(back, "fact is not as it was", "facts are not as they were") if back else "all is as it was"
        parts += [Text(), Text(f"Going back, which counts nowhere: {said}", style="dim")]
    parts += [Text(), Text.assemble(("page    ", "dim"), (str(page), "bold"))]
    return Group(*parts)


def _headline_style(sheet: Sheet) -> str:
    counts = sheet.counts
    if counts["regressed"] or counts["new_deviating"] or counts["still_deviating"]:
        return "bold red"
    # Nothing exercised, or an interrupted run, is no good news either.
    unsure = counts["lost"] or counts["unclear"] or sheet.exit_code or any(run.interrupted for run in sheet.runs)
    return "bold yellow" if unsure else "bold green"


def _section(sheet: Sheet, kind: str, rows: list[FactRow], page: Path) -> list[RenderableType]:
    if kind in ("lost", "unclear"):
        return _by_reason(kind, rows)
    parts: list[RenderableType] = []
    most = _MOST if kind in _AT_LENGTH else _MOST_IN_SHORT
    if kind in _AT_LENGTH:
        for row in rows[:most]:
            parts += _at_length(sheet, row, page)
    else:
        parts = [
            Text(f"{CHANGES[kind][0]} {counted(kind, len(rows))}", style=_STYLES[kind]),
            *map(_in_short, rows[:most]),
        ]
    if len(rows) > most:
        parts.append(Text(f"  … and {len(rows) - most} more: see the page", style="dim"))
    return parts


def _at_length(sheet: Sheet, row: FactRow, page: Path) -> list[RenderableType]:
    sign, words = CHANGES[row.kind]
    title = Text.assemble((f"{sign} {visible(row.fact)}", _STYLES[row.kind]), (f"  {words}{_where(sheet, row)}", "dim"))
    lines = visible(row.reason).splitlines()
    said = [visible(row.claim), *lines[:_REASON_LINES], *(["…"] if len(lines) > _REASON_LINES else [])]
    parts: list[RenderableType] = [title, Padding(Text("\n".join(said)), (0, 0, 0, 2))]
    side = row.cells.get(row.after)
    column = sheet.column(row.after)
    run = sheet.run(column.role) if column else None
    # Where a page is stands in a sheet as an address on the sheet's own page.
    there = (page.parent / unquote(run.page)).resolve() if run and run.page else None
    hints = [*(side.evidence if side else ()), *([f"{there}#fact-{row.fact}"] if there else [])]
    if hints:
        parts.append(Padding(Text(visible(f"evidence: {', '.join(hints)}"), style="dim"), (0, 0, 0, 2)))
    return parts


def _in_short(row: FactRow) -> RenderableType:
    change = f"{state(row.cells.get(row.before))} → {state(row.cells.get(row.after))}"
    text = Text.assemble(visible(row.fact), (f"  {change}", "dim"))
    said = visible(row.source or row.reason).splitlines()
    return Padding(Group(text, Padding(Text(said[0], style="dim"), (0, 0, 0, 2))) if said else text, (0, 0, 0, 2))


def _by_reason(kind: str, rows: list[FactRow]) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(f"{CHANGES[kind][0]} {counted(kind, len(rows))}", style=_STYLES[kind])]
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(row.reason, []).append(row.fact)
    for reason, facts in list(reasons.items())[:_MOST]:
        named = ", ".join(facts) if len(facts) <= 4 else f"{len(facts)} facts"
        first = (visible(reason).splitlines() or [""])[0]
        parts.append(Padding(Text.assemble(visible(named), (f"  {first}", "dim")), (0, 0, 0, 2)))
    if len(reasons) > _MOST:
        parts.append(Text(f"  … and more, for {len(reasons) - _MOST} other reasons: see the page", style="dim"))
    return parts


def _where(sheet: Sheet, row: FactRow) -> str:
    if not sheet.run("carried"):
        return ""
    return f", seen {'everywhere' if len(row.where) == len(PLACES) else ', '.join(WHERE[one] for one in row.where)}"
