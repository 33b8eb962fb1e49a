"""A run on a static bundle, made on the spot of the programs of a suite's docker.io.

Debian has no static ones: the bundle runs where the machine has the libraries that they ask for, and these tests are
skipped elsewhere. A machine without iptables gets that of the suite, laid under its own /usr in a mount namespace that
ends with the test.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netfacts.engine import resolve
from netfacts.engine.source import PATH
from selftests.whole.conftest import ENGINE, PATIENCE_S, ROOT

_PROGRAMS = (
    *("dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-proxy", "docker", "docker-init", "ctr"),
)
_FOLDERS = ("usr/bin", "usr/sbin")
# $1 is the suite's /usr.
_WITH_IPTABLES = 'mount --make-rprivate / && mount -t overlay -o "lowerdir=/usr:$1" overlay /usr && shift && exec "$@"'

# Starts the engine with a container, and prints which programs run out of the bundle.
_LOOK = """
import os, sys
from pathlib import Path
from netfacts.engine import Engine, resolve
from netfacts.engine.image import IMAGE
from netfacts.lab import Lab
from netfacts.lab.stamp import remove_cgroups, stamp
from netfacts.model.lab import SHAPES

installation = resolve(sys.argv[1])
assert installation.root is None
cgroup = stamp("selftest-bundle")
lab = Lab(SHAPES["one-host"])
try:
    engine = Engine(lab["host"], installation, cgroup=cgroup)
    api = engine.api
    config = api.create_host_config(port_bindings={8080: None}, init=True)
    container = api.create_container(IMAGE, host_config=config, ports=[8080])
    api.start(container)
    print(engine.docker("--version").out.strip())
    for process in Path("/proc").glob("[0-9]*"):
        try:
            program = Path(os.readlink(process / "exe"))
        except OSError:
            continue
        if program.parent == installation.programs:
            print(program.name)
finally:
    lab.close()
    remove_cgroups(cgroup)
"""

InLab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def suite() -> Path:
    """The root file system of a suite's docker.io."""
    root = resolve(ENGINE).root
    if root is None:
        pytest.skip("a bundle is made of an engine that was unpacked: NETFACTS_SELFTEST_ENGINE=debian:bookworm")
    return root


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that a machine sees, other than /tmp."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="netfacts-selftest-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def bundle(suite: Path, place: Path) -> Path:
    """A bundle as Docker packs it."""
    path = place / "docker-of-a-suite.tgz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in _PROGRAMS:
            program = next(suite / folder / name for folder in _FOLDERS if (suite / folder / name).exists())
            tar.add(program.resolve(), f"docker/{name}")
    return path


@pytest.fixture(scope="module")
def in_lab(suite: Path, place: Path, bundle: Path) -> InLab:
    """Starts Python with a cache of its own, on this machine or one with iptables. The bundle is in the cache."""
    prefix = [] if shutil.which("iptables", path=PATH) else ["unshare", "--mount", "sh", "-c", _WITH_IPTABLES, "sh"]
    if prefix:
        prefix.append(str(suite / "usr"))

    def start(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "XDG_CACHE_HOME": str(place / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    added = start("-m", "netfacts", "engines", "add", f"static:{bundle}")
    if "does not run on this machine" in added.stderr:
        pytest.skip(f"the suite's programs do not run outside of it here:\n{added.stderr}")
    assert added.returncode == 0, added.stderr
    return start


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the facts and suites of published ports and of what leaves a bridge."""
    folder = tmp_path / "checkout"
    left_out = shutil.ignore_patterns("__pycache__", "out")
    for name in ("netfacts", "fixtures", "reports", "suites/publish", "suites/egress"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    (folder / "facts").mkdir()
    for name in ("conftest.py", "pyproject.toml", "suites/__init__.py", "facts/publish.toml", "facts/egress.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_facts_conform_on_a_bundle(in_lab: InLab, bundle: Path, checkout: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    done = in_lab(
        *("-m", "netfacts", "run", "--engine", f"static:{bundle}", "-n", "1", "--out", str(out)),
        *("-k", "publish.basic or bridge.masquerade-source"),
        folder=checkout,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    run, *lines = [json.loads(line) for line in (out / "record.jsonl").read_text().splitlines()]
    assert run["engine"]["spec"] == f"static:{bundle}"
    assert run["engine"]["firewall"].startswith("iptables")
    verdicts = {(line["fact"], line["verdict"]) for line in lines if line["kind"] == "verdict"}
    assert verdicts == {("publish.basic", "conforms"), ("bridge.masquerade-source", "conforms")}
    assert "docker-cli" not in run["missing"]


def test_all_that_an_engine_starts_comes_from_its_bundle(in_lab: InLab, bundle: Path) -> None:
    done = in_lab("-c", _LOOK, f"static:{bundle}")

    assert done.returncode == 0, done.stderr
    version, *running = done.stdout.splitlines()
    assert version.startswith("Docker version ")
    assert set(running) == {"dockerd", "containerd", "containerd-shim-runc-v2", "docker-proxy"}
