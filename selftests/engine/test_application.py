"""Images of applications: made once and in one way, kept as files and as a tar, known to an engine under a name."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netfacts.engine import Engine, packaged
from netfacts.engine import cache as engine_cache
from netfacts.engine.application import ready
from netfacts.engine.packaged import cached, obstacle, obtain
from netfacts.engine.recipe import APPLICATIONS, Application
from netfacts.model.errors import EngineError
from selftests.engine.conftest import FILES, Fake, left

VERSION = "5:7.0.15-1"
_TREE = f'{FILES}\nmkdir -p "$target/dev"\necho x >"$target/dev/null"\n'
_GOOD = f'{_TREE}echo "netfacts-package redis-server {VERSION}"\necho "netfacts-package libc6 2.36"\n'


def prepared(root: Path) -> None:
    (root / "app").mkdir()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Application:
    """An application whose one source is a file of the test's."""
    sources = tmp_path / "sources" / "page"
    sources.mkdir(parents=True)
    (sources / "app.py").write_text("print(1)")
    monkeypatch.setattr("netfacts.engine.recipe._SOURCES", sources.parent)
    monkeypatch.setattr(packaged, "own_suite", lambda: "debian:bookworm")
    return Application(
        "page",
        main="redis-server",
        packages=("redis-server", "busybox"),
        changes=("EXPOSE 6379",),
        prepare=prepared,
        omitted=("/usr/bin/other",),
    )


def test_image_is_made_once_and_found_from_then_on(mmdebstrap: Fake, cache: Path, page: Application) -> None:
    calls = mmdebstrap(_GOOD)

    first, second = obtain(page), obtain(page)

    assert first == second == cached(page)
    assert first.name.startswith("image-page-5_7.0.15-1-")
    assert left(cache) == [first.name]
    assert calls.read_text().count("--variant=extract") == 1


def test_entry_holds_the_prepared_files_and_their_tar(mmdebstrap: Fake, cache: Path, page: Application) -> None:
    mmdebstrap(_GOOD)

    entry = obtain(page)

    with tarfile.open(entry.path / "image.tar") as tar:
        names = tar.getnames()
    assert (entry.path / "root/app").is_dir()
    assert {"app", "usr/bin/tool", "usr/bin/sh", "bin", "etc/passwd", "dev", "proc"} <= set(names)
    assert "dev/null" not in names
    assert not [name for name in names if name.startswith(("/", "."))]


def test_manifest_says_how_it_was_made(mmdebstrap: Fake, cache: Path, page: Application) -> None:
    mmdebstrap(_GOOD)

    manifest = json.loads((obtain(page).path / ".netfacts.json").read_bytes())

    assert (manifest["spec"], manifest["version"]) == ("image:page", VERSION)
    assert manifest["packages"] == {"redis-server": VERSION, "libc6": "2.36"}
    assert manifest["recipe"]


def test_packages_come_without_what_they_only_recommend(mmdebstrap: Fake, cache: Path, page: Application) -> None:
    calls = mmdebstrap(_GOOD)

    obtain(page)

    said = calls.read_text()
    assert 'Apt::Install-Recommends "false"' in said
    assert "--include=redis-server,busybox " in said
    assert "path-exclude=/usr/share/doc/*" in said
    assert "path-exclude=/usr/bin/other" in said


def test_image_made_in_another_way_is_not_taken_for_it(mmdebstrap: Fake, cache: Path, page: Application) -> None:
    mmdebstrap(_GOOD)
    old = obtain(page)
    (page.sources / "app.py").write_text("print(2)")
    # A new process reads its sources anew.
    changed = replace(page, changes=("EXPOSE 6380",))

    new = obtain(changed)

    assert new.name != old.name
    assert left(cache) == sorted([old.name, new.name])
    assert cached(changed) == new


def test_what_can_not_be_unpacked_or_prepared_leaves_nothing(mmdebstrap: Fake, cache: Path, page: Application) -> None:
    def fail(_: Path) -> None:
        raise EngineError("could not run python3 to prepare an image")

    mmdebstrap("echo 'E: no mirror'\nexit 1\n")
    with pytest.raises(EngineError, match="could not unpack redis-server of debian bookworm"):
        obtain(page)
    mmdebstrap(_GOOD)
    with pytest.raises(EngineError, match="could not run python3"):
        obtain(replace(page, prepare=fail))

    assert left(cache) == []


def test_what_is_missing_is_said_unless_images_are_there(
    mmdebstrap: Fake, cache: Path, page: Application, bin_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert obstacle(page) == "apt-get install mmdebstrap, which unpacks redis-server (`./toxw` does so)"

    monkeypatch.setattr(packaged, "cached", lambda _: object())
    assert obstacle(page) == ""


def test_who_is_not_root_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    said = obstacle(*APPLICATIONS.values())
    assert said.startswith("unpacking redis-server and mariadb-server-core needs root: sudo ")


def test_cache_that_can_not_be_read_costs_the_images_only(page: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise EngineError("could not read the cache of engines", returned="Permission denied")

    monkeypatch.setattr(packaged, "cached", fail)

    assert obstacle(page) == "redis-server would be in the cache, which can't be read: Permission denied"


class Api:
    """An engine's API that has no image but those that were imported."""

    def __init__(self) -> None:
        self.imported: list[dict[str, Any]] = []

    def images(self, name: str, *, quiet: bool) -> list[str]:
        return [one["tag"] for one in self.imported if f"{one['repository']}:{one['tag']}" == name]

    def import_image_from_file(self, path: str, **how: Any) -> str:
        self.imported.append({"path": path, **how})
        return "{}"


@pytest.mark.parametrize(
    ("probe", "name"),
    [("netfacts/probe:1", "netfacts/page:1"), ("127.0.0.1:9/netfacts/probe:own", "127.0.0.1:9/netfacts/page:own")],
)
def test_engine_is_given_an_image_once_beside_its_probe_image(
    mmdebstrap: Fake, cache: Path, page: Application, probe: str, name: str
) -> None:
    mmdebstrap(_GOOD)
    api = Api()
    engine = cast("Engine", SimpleNamespace(api=api, image=probe, labels={"org.netfacts.run": "own"}))
    image = ready(page)

    assert image.load(engine) == image.load(engine) == name

    (imported,) = api.imported
    assert Path(imported["path"]) == image.entry.path / "image.tar"
    assert imported["changes"] == ["EXPOSE 6379", 'LABEL org.netfacts.run="own"']
    assert engine_cache.in_use(image.entry)


def test_specs_are_told_apart_from_those_of_engines() -> None:
    assert [spec.partition(":")[0] for spec in APPLICATIONS] == ["image", "image"]
    assert all(one.sources.is_dir() for one in APPLICATIONS.values())
