"""What all pages share: templates that escape, a policy that lets nothing in, and a file that is never half written."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from netfacts.model.errors import UsageError
from netfacts.model.verdict import Verdict
from reports import drawing, wording
from reports.plot import plot

NAME = "index.html"
"""What a page is called, beside what it is made from."""

_TEMPLATES = Path(__file__).parent / "templates"
_LONG_LINES = 14
"""A text of more lines than this is folded, so that one firewall does not push the next fact off the screen."""

_CAPTURE = re.compile(r"captures/[A-Za-z0-9.=_-]+\.pcap")
"""The only files beside a page that it links to; a record may name others."""


def page(template: str, *, styles: tuple[str, ...], script: str = "", **values: Any) -> str:
    """Render a template with files of this package as its style and its script, the same byte for byte each time."""
    style, own = Markup("").join(map(_own, styles)), _own(script) if script else Markup("")
    return _environment().get_template(template).render(policy=_policy(style, own), style=style, script=own, **values)


def replace(target: Path, text: str, *, what: str, remedy: str) -> Path:
    """Write a file in one step, and give where it is.

    Raises: UsageError for a folder that can't be written to; `what` and `remedy` stand in it.
    """
    # A browser that reloads meanwhile gets the old page or the new one, never half of one.
    part = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            part.write_text(text, "utf-8", newline="\n")
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"could not write {what}", where=str(target), returned=error.strerror or str(error), remedy=remedy
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
        case_name=wording.case_name,
        count=wording.count,
        duration=wording.duration,
        expectation=wording.expectation,
        figure=wording.figure,
        latency=wording.latency,
        moment=wording.moment,
        pieces=wording.pieces,
        plot=plot,
        is_long=lambda text: text.count("\n") >= _LONG_LINES,
    )
    environment.tests["shape"] = lambda shape, kind: isinstance(shape, getattr(drawing, kind))
    environment.tests["capture"] = lambda path: _CAPTURE.fullmatch(path) is not None
    environment.globals.update(
        VERDICTS=wording.VERDICTS, ACCURACY=wording.ACCURACY, REDACTED=wording.REDACTED, Verdict=Verdict
    )
    return environment


def _visible(value: Any) -> Any:
    return wording.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _policy(style: str, script: str) -> str:
    """Give the policy under which a browser loads nothing and runs nothing but what this module put in."""
    allowed = {"style-src": style} | ({"script-src": script} if script else {})
    rules = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"]
    for directive, text in allowed.items():
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        rules.append(f"{directive} 'sha256-{digest}'")
    return "; ".join(rules)
