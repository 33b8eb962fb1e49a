"""What the lab looked like when a check had not conformed: folded on the page, with its captures as the only links."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.model.record import VerdictLine
from netfacts.model.verdict import Evidence, Verdict
from reports import page
from reports.record import Record
from selftests.reports.conftest import full_record, verdict_line
from selftests.reports.test_report_page import NASTY, Parsed

STATE = [Evidence(title="packets", text="0.1 host eth0 in tcp <1> & 2"), Evidence(title="links on host", text="lo")]


def record_of(**fields: Any) -> Record:
    """A record whose one verdict deviates, with these fields."""
    full = full_record()
    return msgspec.structs.replace(full, verdicts=(verdict_line("publish.any-address", Verdict.DEVIATES, **fields),))


def test_state_is_folded_and_the_capture_linked() -> None:
    html = page.render(record_of(state=STATE, captures=["captures/publish.any-address--family=4.pcap"]))

    assert html.count('<details class="state"><summary>The lab when the check had ended</summary>') == 1
    assert (
        '<details class="evidence"><summary>packets</summary>\n<pre>0.1 host eth0 in tcp &lt;1&gt; &amp; 2</pre>'
        in html
    )
    (link,) = re.findall('<a href="(captures/[^"]*)">', html)
    assert link == "captures/publish.any-address--family%3D4.pcap"


def test_verdict_without_any_has_a_page_as_before() -> None:
    assert 'class="state"' not in page.render(record_of())


@pytest.mark.parametrize(
    "path",
    [
        *NASTY,
        "javascript:alert(1)",
        "//example.org/captures/x.pcap",
        "captures/../../etc/passwd",
        "captures/a/b.pcap",
        "captures/x.pcap\n",
        "captures/x.html",
        "/captures/x.pcap",
    ],
)
def test_other_files_are_named_and_not_linked(path: str) -> None:
    parsed = Parsed(page.render(record_of(captures=[path])))

    assert all(href.startswith(("#", "https://")) for href in parsed.values("href"))
    assert path.strip() in parsed.text


@given(st.text(max_size=40))
def test_link_never_leaves_the_run_s_folder(path: str) -> None:
    hrefs = Parsed(page.render(record_of(captures=[path, f"captures/{path}", f"captures/{path}.pcap"]))).values("href")

    for href in hrefs:
        assert href.startswith(("#", "https://")) or re.fullmatch(r"captures/[\w.%=-]+\.pcap", href)


def test_records_of_before_are_read_on(make: Any) -> None:
    line = msgspec.to_builtins(make.verdict("a.one"))
    del line["state"], line["captures"]

    assert msgspec.convert(line, VerdictLine) == make.verdict("a.one")
