"""The Vagrantfile: vagrant takes it, and would not take a broken one. No VM is started, and no provider needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from selftests.frame.conftest import ROOT
from selftests.vm.image import PLACES

pytestmark = pytest.mark.skipif(shutil.which("vagrant") is None, reason="vagrant is not installed")


def validate(folder: Path, vagrantfile: str, engine: str | None = None) -> subprocess.CompletedProcess[str]:
    (folder / "Vagrantfile").write_text(vagrantfile)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("VAGRANT_", "NETFACTS_"))}
    env |= {
        "VAGRANT_HOME": str(folder / "home"),
        # It would ask its makers whether there is a newer one.
        "VAGRANT_CHECKPOINT_DISABLE": "1",
    }
    if engine is not None:
        env["NETFACTS_ENGINE"] = engine
    return subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def vagrantfile(tmp_path: Path) -> str:
    """The Vagrantfile; what it sends to the VMs lies in the folder."""
    for name in ("toxw", "provision.sh"):
        shutil.copy(ROOT / name, tmp_path / name)
    return (ROOT / "Vagrantfile").read_text()


@pytest.mark.parametrize("engine", [None, "", "debian", "bundle.tgz"])
def test_vagrant_takes_it(tmp_path: Path, vagrantfile: str, engine: str | None) -> None:
    (tmp_path / "bundle.tgz").touch()

    done = validate(tmp_path, vagrantfile, engine)

    assert done.returncode == 0, done.stdout
    assert "Vagrantfile validated successfully." in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("config.vm.box =", "config.vm.bocks =", "shouldn't exist: bocks"),
        ('config.vm.box = "debian/bookworm64"', "", "box must be specified"),
        ('{ "toxw" => "toxw"', '{ "tocks" => "toxw"', "tocks"),
        ("MACHINES.each do", "MACHINES.each", "syntax error"),
    ],
    ids=["setting", "box", "file", "syntax"],
)
def test_vagrant_refuses_a_broken_one(tmp_path: Path, vagrantfile: str, right: str, wrong: str, said: str) -> None:
    assert right in vagrantfile

    done = validate(tmp_path, vagrantfile.replace(right, wrong))

    assert done.returncode == 1, done.stdout
    assert said in done.stdout


def test_an_engine_that_is_not_there_is_named(tmp_path: Path, vagrantfile: str) -> None:
    done = validate(tmp_path, vagrantfile, "no.tgz")

    assert done.returncode == 1
    assert f"NETFACTS_ENGINE: no static bundle at {tmp_path}/no.tgz" in done.stdout


def test_its_machines_stand_where_those_of_the_selftests_stand(vagrantfile: str) -> None:
    machines = re.findall(r'"(\w+)" => \["(engine|client)", (\d+)\]', vagrantfile)

    assert {name: int(number) for name, _, number in machines} == {p.name: p.number for p in PLACES.values()}
    assert [name for name, role, _ in machines if role == "client"] == ["client"]
