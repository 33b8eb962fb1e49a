"""Somebody's engine: what is made on it says whose it is, and it is never asked to fetch anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from netfacts.engine.image import load_image
from netfacts.engine.installed import RUN_LABEL, InstalledEngine
from netfacts.lab import Machine
from netfacts.model.errors import OffLimits

_OWNER = "netfacts-4711-815"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> InstalledEngine:
    monkeypatch.setattr(InstalledEngine, "check_alive", lambda _: None)
    machine = cast("Machine", SimpleNamespace(name="host"))
    return InstalledEngine(machine, "/var/run/docker.sock", owner=_OWNER, privileged=False)


def test_swarm_that_pulls_the_probe_image_asks_nobody_but_the_node_itself(engine: InstalledEngine) -> None:
    registry, *_ = engine.image.split("/")

    assert registry == "127.0.0.1:9"


def test_probe_image_is_loaded_under_its_whole_name(engine: InstalledEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = {}
    monkeypatch.setattr("netfacts.engine.image._tar", lambda: b"")
    api = SimpleNamespace(import_image_from_data=lambda data, **how: loaded.update(how))

    load_image(api, engine.image, engine.labels)  # type: ignore[arg-type]

    assert f"{loaded['repository']}:{loaded['tag']}" == engine.image
    assert f'LABEL {RUN_LABEL}="{_OWNER}"' in loaded["changes"]


def test_all_images_of_the_run_are_taken_away_and_no_others(engine: InstalledEngine) -> None:
    removed: list[str] = []
    own = f"{RUN_LABEL}={_OWNER}"

    def remove(image: str, *, force: bool) -> None:
        removed.append(image)

    engine.api = SimpleNamespace(
        images=lambda *, quiet, filters: ["probe", "page"] if filters == {"label": own} else ["probe", "page", "other"],
        remove_image=remove,
    )

    engine.unload()

    assert removed == ["probe", "page"]


@pytest.mark.parametrize("verb", ["start", "stop", "kill"])
def test_it_is_left_running(engine: InstalledEngine, verb: str) -> None:
    with pytest.raises(OffLimits, match=f"it would {verb} the engine"):
        getattr(engine, verb)()
