"""Engines that do something wrong are caught: in a comparison with one that does not, by exactly the facts they break.

Every engine is judged once, by the same dozen of facts.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netfacts.engine import resolve
from netfacts.engine.cache import folder as cache_folder
from selftests.whole.conftest import ENGINE, PATIENCE_S, ROOT
from selftests.whole.doctored import Doctoring, doctor

# The first test waits for the runs on all engines: two minutes on two cores that have nothing else to do.
pytestmark = pytest.mark.timeout(1800)

_AREAS = ("bridge", "dns", "egress", "proxy", "publish", "reach", "remote")
_FACTS = (
    *("bridge.masquerade-rule", "bridge.masquerade-source", "dns.user-net-names", "docker0.default-addr"),
    *("icc.same-net-ip", "inspect.bridge-options", "isolation.bridges", "proxy.per-mapping", "publish.basic"),
    *("publish.dnat-rule", "publish.localhost-ip-format", "remote.routed-unpublished"),
)
# A fact's id is found in those that begin with it, too.
_SELECT = f"({' or '.join(_FACTS)}) and not unpublished-accept"


@dataclass(frozen=True)
class Case:
    """An engine with something wrong, the facts that regress on it, and those that can't be judged on it any more."""

    doctoring: Doctoring
    regressed: frozenset[str]
    lost: frozenset[str] = frozenset()


def case(doctoring: Doctoring, *regressed: str, lost: tuple[str, ...] = ()) -> Case:
    return Case(doctoring, frozenset(regressed), frozenset(lost))


CASES = {
    "nothing is wrong": case(Doctoring()),
    "masquerades nothing": case(
        Doctoring(deaf='*" -j MASQUERADE "*'), "bridge.masquerade-rule", "bridge.masquerade-source"
    ),
    "has no DNAT for published ports": case(Doctoring(deaf='*" -A DOCKER "*" -j DNAT "*'), "publish.dnat-rule"),
    "does not isolate its bridges": case(Doctoring(deaf='*" -j DOCKER-ISOLATION-STAGE-"*'), "isolation.bridges"),
    "forwards whatever comes": case(
        Doctoring(deaf='*" -P FORWARD DROP "*|*" DOCKER-ISOLATION-STAGE-2 "*" -j DROP "*'),
        *("isolation.bridges", "remote.routed-unpublished"),
    ),
    "leads no container to its DNS server": case(Doctoring(deaf='*" DOCKER_OUTPUT "*'), "dns.user-net-names"),
    # It says that it is ready, as the real one does, and never listens.
    "has a docker-proxy that serves nobody": case(
        Doctoring(proxy="echo 0 >&3\nexec 3>&-\nexec busybox sleep 86400"),
        *("proxy.per-mapping", "publish.basic"),
        lost=("publish.localhost-ip-format",),
    ),
    "starts no docker-proxy": case(
        Doctoring(flags=("--userland-proxy=false",)),
        *("proxy.per-mapping", "publish.basic", "publish.dnat-rule"),
        lost=("publish.localhost-ip-format",),
    ),
    "has another MTU": case(Doctoring(flags=("--mtu=1400",)), "inspect.bridge-options"),
    "keeps containers of the default bridge apart": case(
        Doctoring(flags=("--icc=false",)),
        *("icc.same-net-ip", "inspect.bridge-options"),
        # Its control is that containers of one network reach each other.
        lost=("isolation.bridges",),
    ),
    "gives the default bridge another subnet": case(Doctoring(flags=("--bip=172.31.0.1/16",)), "docker0.default-addr"),
    "leaves the default bridge without masquerading": case(
        Doctoring(flags=("--ip-masq=false",)),
        *("bridge.masquerade-rule", "bridge.masquerade-source", "inspect.bridge-options"),
    ),
}


@dataclass(frozen=True)
class Stage:
    """A checkout with the facts that are put to the engines, and a place for these and for the runs."""

    checkout: Path
    engines: Path
    root: Path
    runs: Path

    def netfacts(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of netfacts in the checkout."""
        return subprocess.run(
            [sys.executable, "-m", "netfacts", *arguments],
            cwd=self.checkout,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * PATIENCE_S,
        )

    def doctored(self, name: str, doctoring: Doctoring) -> str:
        """Make an engine; gives its spec."""
        return f"rootfs:{doctor(self.root, self.engines / name.replace(' ', '-'), doctoring)}"


@dataclass(frozen=True)
class Judged:
    """How a run on an engine ended."""

    out: Path
    code: int
    said: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The stage. The engines lie beside the cache, on the same file system."""
    root = resolve(ENGINE).root
    if root is None:
        pytest.skip("an engine that was unpacked can be doctored: NETFACTS_SELFTEST_ENGINE=debian:bookworm")
    folder = tmp_path_factory.mktemp("doctored")
    checkout = folder / "checkout"
    left_out = shutil.ignore_patterns("__pycache__", "out")
    for name in ("netfacts", "fixtures", "reports", *(f"suites/{area}" for area in _AREAS)):
        shutil.copytree(ROOT / name, checkout / name, ignore=left_out)
    (checkout / "facts").mkdir()
    for name in ("conftest.py", "pyproject.toml", "suites/__init__.py", *(f"facts/{area}.toml" for area in _AREAS)):
        shutil.copy(ROOT / name, checkout / name)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix="selftest-") as engines:
        yield Stage(checkout, Path(engines), root, folder)


@pytest.fixture(scope="module")
def judged(stage: Stage) -> dict[str, Judged]:
    """The run on the engine as it is, under "", and that on each doctored one."""

    def judge(name: str) -> Judged:
        spec = stage.doctored(name, CASES[name].doctoring) if name else ENGINE
        out = stage.runs / f"run-{name.replace(' ', '-')}"
        done = stage.netfacts("run", "--engine", spec, "-k", _SELECT, "-n", "0", "--out", str(out))
        return Judged(out, done.returncode, done.stdout + done.stderr)

    # Most of a run is waiting: for daemons to start, and for packets that must not come.
    with ThreadPoolExecutor(3) as pool:
        names = ["", *CASES]
        return dict(zip(names, pool.map(judge, names), strict=True))


def changes(sheet: dict[str, Any], kind: str) -> set[str]:
    """The facts of a comparison or an upgrade of which this became."""
    return {row["fact"] for row in sheet["facts"] if row["kind"] == kind}


def test_engine_as_it_is_conforms(judged: dict[str, Judged]) -> None:
    assert judged[""].code == 0, judged[""].said


@pytest.mark.parametrize("name", CASES)
def test_doctored_engine_is_caught_by_what_it_breaks_and_nothing_else(
    stage: Stage, judged: dict[str, Judged], name: str
) -> None:
    expected, run = CASES[name], judged[name]

    done = stage.netfacts(
        *("compare", str(judged[""].out), str(run.out), "--json", "--out", str(run.out.with_suffix(".compared")))
    )

    sheet = json.loads(done.stdout)
    assert (changes(sheet, "regressed"), changes(sheet, "lost")) == (expected.regressed, expected.lost), run.said
    assert changes(sheet, "unchanged") & set(_FACTS) == set(_FACTS) - expected.regressed - expected.lost
    assert (run.code, done.returncode) == ((1, 6) if expected.regressed else (0, 0)), run.said


def test_upgrade_catches_an_engine_that_is_wrong_only_where_it_takes_over(stage: Stage) -> None:
    spec = stage.doctored(
        "wrong-after-takeover", Doctoring(deaf_after_takeover='*" -A DOCKER "*" -j DNAT "*|*" DOCKER_OUTPUT "*')
    )
    out = stage.runs / "upgrade"

    done = stage.netfacts(
        *("upgrade", "--from", ENGINE, "--to", spec, "-n", "0", "--out", str(out)),
        *("-k", "dns.user-net-names or publish.dnat-rule or docker0.default-addr"),
    )

    assert done.returncode == 6, done.stdout + done.stderr
    sheet = json.loads((out / "upgrade.json").read_text())
    assert sheet["headline"].startswith("2 facts regress ")
    assert changes(sheet, "regressed") == {"dns.user-net-names", "publish.dnat-rule"}
    places: dict[str, set[str]] = {}
    for row in sheet["facts"]:
        for place in row["seen"] + row["back"]:
            if place["kind"] != "unchanged":
                places.setdefault(place["where"], set()).add(row["fact"])
    # Fresh it does nothing wrong, and going back mends what it did.
    assert set(places) <= {"carried", "anew"}
    assert places["anew"] == {"dns.user-net-names", "publish.dnat-rule"}
