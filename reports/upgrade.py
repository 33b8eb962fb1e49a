"""The page of an upgrade or of a comparison, and the folders that they live in.

Shape:
    upgrade/ before/ after/ carried/ back/    a run folder each, the last two where they were tried
             upgrade.json index.html
    compare/ compare.json index.html
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from netfacts.model.errors import UsageError
from reports import change_wording, html
from reports.assembly import of_two, of_upgrade
from reports.comparison import KINDS
from reports.record import NAME as RECORD
from reports.record import Record, locate
from reports.record import read as read_record
from reports.sheet import PLACES, ROLES, SCHEMA, Column, FactRow, Figure, Seen, Sheet
from reports.timing import Timing

COMPARE = "compare.json"
UPGRADE = "upgrade.json"

_REMEDY = "copy the folder to one of yours and give that one"
_DOCUMENTED = "changed_as_documented"
_MOST_ALONE = 3
"""Facts that were lost for one reason stand together when they are more than this."""


@dataclass(frozen=True)
class Group:
    """Facts of one kind, with what they have in common in `title`."""

    title: str
    rows: tuple[FactRow, ...]


def is_one(path: Path) -> bool:
    """Say whether a path means the folder of an upgrade or of a comparison."""
    if path.name in (COMPARE, UPGRADE):
        return True
    return not (path / RECORD).exists() and any(
        (path / name).exists() for name in (COMPARE, UPGRADE, f"before/{RECORD}")
    )


def folder_of(path: Path) -> Path:
    """Give the folder of an upgrade or of a comparison that a path means: itself, or where its JSON is."""
    return path.parent if path.name in (COMPARE, UPGRADE) else path


def read(folder: Path) -> Sheet:
    """Read a comparison's JSON, or the records of an upgrade.

    Raises: UsageError for what is neither, and for an upgrade that lacks one of its fresh runs.
    """
    folder = folder_of(folder)
    if os.path.exists(folder / COMPARE):
        return _decode(folder / COMPARE)
    found = records(folder)
    return of_upgrade(found, pages={role: f"{role}/{html.NAME}" for role in found if _has_page(folder / role)})


def records(folder: Path) -> dict[str, Record]:
    """Read the records of an upgrade, each under the name of its folder.

    Raises: UsageError for an upgrade that lacks one of its fresh runs, and for a comparison, which has no records.
    """
    folder = folder_of(folder)
    if os.path.exists(folder / COMPARE):
        raise UsageError(
            "a comparison has no records of its own",
            where=str(folder / COMPARE),
            remedy="give the folders of its two runs one after the other, and compare what comes of them",
        )
    there = [role for role in ROLES if os.path.exists(folder / role / RECORD)]
    for role in ("before", "after"):
        if role not in there:
            raise UsageError(
                f"this upgrade has no run `{role}`",
                where=str(folder / role / RECORD),
                remedy="compare the runs that are there: `netfacts compare A B`; or let `netfacts upgrade` run again",
            )
    return {role: read_record(folder / role) for role in there}


def compare(before: Path, after: Path, out: Path) -> Sheet:
    """Compare two records for a page in `out`, which need not be there yet.

    Raises: UsageError for what can't be read or compared.
    """
    pages = {
        role: quote(os.path.relpath(locate(path).with_name(html.NAME).resolve(), out.resolve()))
        for role, path in (("before", before), ("after", after))
        if _has_page(locate(path).parent)
    }
    return of_two(read_record(_one_run(before)), read_record(_one_run(after)), pages=pages)


def encode(sheet: Sheet) -> str:
    """Give a sheet as JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(sheet), indent=1).decode() + "\n"


def write_compare(sheet: Sheet, out: Path) -> Path:
    """Write a comparison's JSON and page into a folder, which is made if need be; gives the page.

    Raises: UsageError for a folder that holds a run or an upgrade, or can't be written to.
    """
    for name in (RECORD, UPGRADE):
        if os.path.exists(out / name):
            raise UsageError(
                "could not write a comparison over what is there",
                where=str(out / name),
                remedy="give another folder by --out, or none for one in reports/out",
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "could not make the comparison's folder", where=str(out), returned=error.strerror or "", remedy="--out DIR"
        ) from None
    html.replace(out / COMPARE, encode(sheet), what="a comparison", remedy="--out DIR")
    return html.replace(out / html.NAME, render(sheet), what="the page of a comparison", remedy="--out DIR")


def write(folder: Path) -> Path:
    """Write the page of an upgrade or a comparison anew, and of an upgrade its JSON as well; gives the page.

    Raises: UsageError for what is neither, or a folder that can't be written to.
    """
    sheet = read(folder)
    folder = folder_of(folder)
    if sheet.kind == "upgrade":
        html.replace(folder / UPGRADE, encode(sheet), what="the JSON of an upgrade", remedy=_REMEDY)
    return html.replace(folder / html.NAME, render(sheet), what=f"the page of a {sheet.kind}", remedy=_REMEDY)


def render(sheet: Sheet) -> str:
    """Give the page of a sheet, the same byte for byte whenever it is asked for."""
    of = {kind: [row for row in sheet.facts if row.kind == kind and row.seen] for kind in KINDS}
    return html.page(
        "upgrade.html.j2",
        styles=("page.css", "upgrade.css"),
        script="upgrade.js",
        sheet=sheet,
        before=sheet.run("before"),
        after=sheet.run("after"),
        carried=sheet.run("carried"),
        back=sheet.run("back"),
        of=of,
        worrying=[group for kind in KINDS[: KINDS.index("fixed")] for group in _grouped(of[kind])],
        documented=_by_area(of[_DOCUMENTED]),
        taken_over=[Place(sheet, key) for key in ("carried_old", "carried_new")],
        gone_back=[Place(sheet, key) for key in ("back_old", "back_new")],
        flows=_held(sheet, "carried_"),
        flows_back=_held(sheet, "back_"),
        figures=[one for one in sheet.figures if {"before", "after"} & one.values.keys()],
        pages={run.role: run.page for run in sheet.runs if _inside(run.page)},
        areas=list(dict.fromkeys(row.area for row in sheet.facts)),
        operations=_operations(sheet),
        CHANGES=change_wording.CHANGES,
        WHERE=change_wording.WHERE,
        KINDS=KINDS,
        words=change_wording,
    )


class Place:
    """What was seen at one place of an upgraded engine: on what it took over, or on what it built anew.

    `told` are the changes to tell one by one, `documented` those that reach it as documented, and `spared` the facts
    with a documented change between fresh engines that does not reach it.
    """

    def __init__(self, sheet: Sheet, key: str) -> None:
        self.column: Column | None = sheet.column(key)
        self.anew = key.endswith("_new")
        found = [(row, seen) for row in sheet.facts for seen in (*row.seen, *row.back) if seen.after == key]
        found.sort(key=lambda pair: KINDS.index(pair[1].kind))
        self.looked_at = len(found)
        self.counts = {kind: sum(seen.kind == kind for _, seen in found) for kind in KINDS}
        self.told = [pair for pair in found if pair[1].kind not in ("unchanged", _DOCUMENTED)]
        self.documented = [pair for pair in found if pair[1].kind == _DOCUMENTED]
        self.spared = [
            row
            for row, seen in found
            if seen.kind == "unchanged"
            and key == "carried_old"
            and any(one.after == "after" and one.kind == _DOCUMENTED for one in row.seen)
        ]


def _has_page(folder: Path) -> bool:
    return os.path.isfile(folder / html.NAME)


def _one_run(path: Path) -> Path:
    """Give a path that means one run, and refuse an upgrade or a comparison, which are made of several."""
    if is_one(path):
        raise UsageError(
            "this is not one run",
            where=str(path),
            returned="it holds the runs of an upgrade, or a comparison",
            remedy=f"give the folder of one run, such as {path / 'before'}; `netfacts report {path}` shows the whole",
        )
    return path


class _Head(msgspec.Struct, frozen=True):
    schema: int


def _decode(file: Path) -> Sheet:
    try:
        data = file.read_bytes()
        # First, since another schema should read as that and not as some unknown field.
        schema = msgspec.json.decode(data, type=_Head).schema
        if schema == SCHEMA:
            sheet = msgspec.json.decode(data, type=Sheet)
            wrong = _misfit(sheet)
            if not wrong:
                return sheet
        else:
            wrong = f"it has schema {schema}, this netfacts reads {SCHEMA}"
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        wrong = str(error)
    raise UsageError(
        "could not read a comparison", where=str(file), returned=wrong, remedy="run `netfacts compare` again"
    )


def _misfit(sheet: Sheet) -> str:
    """Say what in a sheet does not fit together, "" where all does; a page stands on it."""
    roles, columns = {run.role for run in sheet.runs}, {column.key for column in sheet.columns}
    seen = [one for row in sheet.facts for one in (*row.seen, *row.back)]
    changes: list[FactRow | Seen] = [*sheet.facts, *seen]
    named: dict[str, tuple[set[str], set[str]]] = {
        "kind": ({sheet.kind}, {"compare"}),
        "run": ({"before", "after"} | {column.role for column in sheet.columns} | sheet.took.keys(), roles),
        "role": (roles, set(ROLES)),
        "count": (set(KINDS), set(sheet.counts)),
        "kind of change": ({one.kind for one in changes} | set(sheet.counts), set(KINDS)),
        "place": ({one.where for one in seen}, set(change_wording.WHERE)),
        "places": ({where for row in sheet.facts for where in row.where}, set(PLACES)),
        "column": (
            {"before", "after"}
            | {key for one in changes for key in (one.before, one.after)}
            | {key for row in sheet.facts for key in row.cells}
            | {key for figure in sheet.figures for key in figure.values},
            columns,
        ),
    }
    for what, (needed, there) in named.items():
        if missing := sorted(needed - there):
            return f"there is no {what} {missing[0]!r}"
    return ""


def _inside(page: str) -> bool:
    """Whether a page is a file beside this one: a comparison's JSON may come from anywhere."""
    parts = urlsplit(page)
    return bool(page) and not parts.scheme and not parts.netloc


def _grouped(rows: list[FactRow]) -> Iterable[Group]:
    """Give facts one by one, but those that were lost for one and the same reason together."""
    by: dict[str, list[FactRow]] = {}
    for row in rows:
        by.setdefault(row.reason if row.kind in ("lost", "unclear") else f"\0{row.fact}", []).append(row)
    for reason, members in by.items():
        if len(members) > _MOST_ALONE:
            yield Group(reason, tuple(members))
        else:
            yield from (Group("", (row,)) for row in members)


def _by_area(rows: list[FactRow]) -> list[Group]:
    by: dict[str, list[FactRow]] = {}
    for row in rows:
        by.setdefault(row.area, []).append(row)
    return [Group(area, tuple(members)) for area, members in by.items()]


def _held(sheet: Sheet, prefix: str) -> list[tuple[Figure, str]]:
    return [(one, key) for one in sheet.figures if not one.ratio for key in one.values if key.startswith(prefix)]


def _operations(sheet: Sheet) -> list[Timing]:
    """Give all operations that were timed on any engine, those on fresh ones first."""
    fresh = {one.operation: one for one in sheet.timings}
    names = dict.fromkeys([*fresh, *(operation for took in sheet.took.values() for operation in took)])
    return [fresh.get(name, Timing(operation=name, before=None, after=None)) for name in names]
