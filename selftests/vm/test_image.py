"""The cache of the VMs' disk: made once for each recipe, whole or not at all, and kept from growing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from netfacts.lab.stamp import stamp
from netfacts.model.errors import LabError, UsageError
from selftests.vm import image
from selftests.vm.image import held


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of images, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/netfacts/vm"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was made, of nothing."""
    made: list[Path] = []

    def make(_: Path, folder: Path) -> None:
        folder.mkdir()
        made.append(folder)

    monkeypatch.setattr(image, "_make", make)
    return made


def left(images: Path) -> list[str]:
    return sorted(path.name for path in images.iterdir() if path.name != ".lock")


def test_an_image_is_made_once(images: Path, made: list[Path]) -> None:
    with held() as first, held() as second:
        assert first == second
    with held() as third:
        assert third == first

    assert made == [first.folder]


def test_another_recipe_takes_the_place_of_what_nobody_uses(
    images: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    recipes = ["a" * 64, "b" * 64, "c" * 64]
    images.mkdir(parents=True)
    for name in (f"netfacts-{dead.pid}-1-partial-0123", stamp("partial-4567"), "notes"):
        (images / name).mkdir()
    others = [stamp("partial-4567"), "notes"]

    monkeypatch.setattr(image, "_digest", lambda: recipes[0])
    with held() as first:
        monkeypatch.setattr(image, "_digest", lambda: recipes[1])
        with held() as second:
            assert left(images) == sorted([first.folder.name, second.folder.name, *others])
    monkeypatch.setattr(image, "_digest", lambda: recipes[2])
    with held() as third:
        assert left(images) == sorted([third.folder.name, *others])


def test_what_fails_leaves_nothing_and_is_told(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/mmdebstrap"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nfor target; do :; done\nmkdir -p "$target/boot"\necho "E: no route" >&2\nexit 25\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")

    with pytest.raises(LabError) as caught, held():
        pass

    assert "could not install Debian bookworm for the VMs" in str(caught.value)
    assert "E: no route" in str(caught.value)
    assert left(images) == []


def test_missing_programs_are_named(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "_engine_packages", lambda: ["docker.io"])
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UsageError) as caught, held():
        pass

    assert caught.value.attempted == "VMs need mmdebstrap, mke2fs, ssh-keygen"
    assert left(images) == []
