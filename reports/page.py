"""A record as one HTML page that needs nothing else: no network, no font, no script to be read."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from netfacts.model.errors import UsageError
from netfacts.model.verdict import Finding, Scene, Verdict
from reports import drawing, wording
from reports.picture import Picture, picture
from reports.record import Record, locate, read
from reports.summary import Judged, summarise

NAME = "index.html"
"""What the page is called, beside its record."""

_TEMPLATES = Path(__file__).parent / "templates"
_LONG_LINES = 14
"""A text of more lines than this is folded, so that one firewall does not push the next fact off the screen."""


def render(record: Record) -> str:
    """Give the page of a record, the same byte for byte whenever it is asked for."""
    style, script = _own("page.css"), _own("page.js")
    summary = summarise(record.facts, record.verdicts, interrupted=record.interrupted)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            record=record,
            run=record.run,
            engine=record.run.engine,
            summary=summary,
            headline=wording.headline(summary.totals, record),
            slowest=_slowest(record, summary.facts),
            sabotages=sorted((line for line in record.sabotages if line.tried), key=lambda line: line.killed),
            known={fact.fact for fact in record.facts},
            policy=_policy(style, script),
            style=style,
            script=script,
            pictures=lambda judged: _pictures(record, judged),
        )
    )


def write(path: Path) -> Path:
    """Write the page of a record, or of a run folder's record, beside it, and give where it is.

    Raises: UsageError for what isn't a record, or a folder that can't be written to.
    """
    page = render(read(path))
    target = locate(path).with_name(NAME)
    # A browser that reloads meanwhile gets the old page or the new one, never half of one.
    part = target.with_name(f".{NAME}.{os.getpid()}")
    try:
        try:
            part.write_text(page, "utf-8", newline="\n")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            "could not write the page of a record",
            where=str(target),
            returned=error.strerror or str(error),
            remedy="copy the record to a folder of yours and give that one",
        ) from None
    return target


def _own(name: str) -> Markup:
    """Give a file of this package to be put in as it is; nothing from a record passes here."""
    return Markup((_TEMPLATES / name).read_text("utf-8"))  # noqa: S704


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_visible,
    )
    environment.filters.update(
        agreement=wording.agreement,
        count=wording.count,
        duration=wording.duration,
        expectation=wording.expectation,
        latency=wording.latency,
        moment=wording.moment,
        pieces=wording.pieces,
        is_long=lambda text: text.count("\n") >= _LONG_LINES,
    )
    environment.tests["shape"] = lambda shape, kind: isinstance(shape, getattr(drawing, kind))
    environment.tests["holding"] = lambda items, item: item in items
    environment.globals.update(VERDICTS=wording.VERDICTS, ACCURACY=wording.ACCURACY, Verdict=Verdict)
    return environment


def _visible(value: Any) -> Any:
    return wording.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(style: str, script: str) -> str:
    """Give the policy under which a browser loads nothing and runs nothing but what this module put in."""
    allowed = {"style-src": style, "script-src": script}
    rules = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"]
    for directive, text in allowed.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        rules.append(f"{directive} 'sha256-{digest}'")
    return "; ".join(rules)


def _slowest(record: Record, facts: tuple[Judged, ...]) -> list[tuple[str, float]]:
    if record.end and record.end.slowest:
        return record.end.slowest
    timed = [(judged.fact.fact, judged.duration_s) for judged in facts if judged.duration_s > 0]
    return sorted(timed, key=lambda pair: -pair[1])[:5]


def _pictures(record: Record, judged: Judged) -> list[tuple[Finding, Picture | None]]:
    """Give each case of a fact with its picture; None for one not exercised, or just like that of a case before."""
    drawn: list[Scene] = []
    result: list[tuple[Finding, Picture | None]] = []
    for case in judged.cases:
        skip = case.verdict is Verdict.NOT_EXERCISED or case.scene in drawn
        result.append((case, None if skip else picture(record.lab(judged.fact.lab), case.scene)))
        if not skip:
            drawn.append(case.scene)
    return result
