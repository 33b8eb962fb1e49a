"""The workflows: well-formed, of little right, and made of commands that exist."""

from __future__ import annotations

import configparser
import itertools
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from netfacts.cli.main import app
from selftests.frame.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
every = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)

Call = list[str]


def read(path: Path) -> dict[str, Any]:
    workflow: dict[Any, Any] = yaml.safe_load(path.read_text("utf-8"))
    # YAML 1.1 takes `on` for true.
    return {"on" if key is True else key: value for key, value in workflow.items()}


def triggers(workflow: dict[str, Any]) -> set[str]:
    on = workflow["on"]
    return {on} if isinstance(on, str) else set(on)


def scripts(workflow: dict[str, Any]) -> Iterator[str]:
    """What the jobs run, once for each combination of a matrix."""
    for job in workflow["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {})
        for values in itertools.product(*matrix.values()):
            chosen = dict(zip(matrix, map(str, values), strict=True))
            for step in job["steps"]:
                script = step.get("run", "")
                for name, value in chosen.items():
                    script = script.replace(f"${{{{ matrix.{name} }}}}", value)
                yield script


def calls(script: str, program: str) -> Iterator[Call]:
    """The arguments of each call of a program in a script."""
    for line in script.splitlines():
        words = shlex.split(line, comments=True)
        for number, word in enumerate(words):
            if word.split("/")[-1] == program:
                yield list(itertools.takewhile(lambda word: word not in ("||", "&&", ";", "|"), words[number + 1 :]))


def tox_commands() -> dict[str, list[Call]]:
    """The commands of each env of tox.ini, by its name; factors are told apart."""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(ROOT / "tox.ini")
    found: dict[str, list[Call]] = {}
    for section in ini.sections():
        name = section.removeprefix("testenv:")
        if name == section:
            continue
        head, braces, rest = name.partition("{")
        factors = rest.rstrip("}").split(",") if braces else [""]
        for factor in factors:
            lines = [line.strip() for line in ini[section].get("commands", "").splitlines() if line.strip()]
            mine = [re.sub(rf"^{factor}: ", "", line) for line in lines if not re.match(rf"(?!{factor}:)\w+: ", line)]
            found[head + factor] = [shlex.split(line.replace("{posargs}", "")) for line in mine]
    return found


def refuse_unknown_options(call: Call) -> None:
    """Assert that a call of netfacts names a command, and options that this one has."""
    group: Any = typer.main.get_command(app)
    command = group.get_command(None, call[0])
    assert command is not None, call
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in call[1:]:
        if word.startswith("-"):
            assert word.split("=")[0] in known, call


@every
def test_workflow_is_well_formed(path: Path) -> None:
    workflow = read(path)

    assert workflow["name"] == path.stem
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert all(("run" in step) != ("uses" in step) for step in job["steps"])
        assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
        assert job.get("needs", next(iter(workflow["jobs"]))) in workflow["jobs"]


@every
def test_machines_of_ones_own_run_nobody_elses_code(path: Path) -> None:
    workflow = read(path)
    own = any("self-hosted" in job["runs-on"] for job in workflow["jobs"].values())

    assert "pull_request_target" not in triggers(workflow)
    assert not own or triggers(workflow) <= {"schedule", "workflow_dispatch"}


@every
def test_scripts_name_nothing_but_the_matrix(path: Path) -> None:
    """What Actions puts into a script is run by it: nothing that somebody outside can choose may be among it."""
    runs = [step.get("run", "") for job in read(path)["jobs"].values() for step in job["steps"]]

    assert {name for run in runs for name in re.findall(r"\$\{\{ *([\w.]+)", run)} <= {"matrix.engine", "matrix.shard"}


@every
def test_commands_exist_with_their_options(path: Path) -> None:
    envs = tox_commands()
    checked = 0
    for script in scripts(read(path)):
        for call in calls(script, "netfacts"):
            refuse_unknown_options(call)
            checked += 1
        for call in calls(script, "toxw"):
            env, arguments = called_env(call)
            assert env in envs, call
            for command in envs[env]:
                # pytest's own options are pytest's business.
                assert command[0] in ("netfacts", "pytest"), command
                if command[0] == "netfacts":
                    refuse_unknown_options(command[1:] + arguments)
            checked += 1
        for word in shlex.split(script, comments=True):
            if word == ".ci/run":
                assert os.access(ROOT / word, os.X_OK)
                checked += 1
    assert checked


def called_env(call: Call) -> tuple[str, Call]:
    """The env that a call of toxw names, and what it hands on."""
    own = list(itertools.takewhile(lambda word: word != "--", call))
    return own[own.index("-e") + 1] if "-e" in own else "conformance", call[len(own) + 1 :]


def test_nightly_covers_every_shard_of_every_engine() -> None:
    workflow = read(ROOT / ".github/workflows/nightly.yml")
    found = [called_env(call) for script in scripts(workflow) for call in calls(script, "toxw")]
    shards = {(env, arguments[arguments.index("--shard") + 1]) for env, arguments in found if "--shard" in arguments}

    assert shards == {
        (f"engine-{suite}", f"{number}/3") for suite in ("bookworm", "trixie", "forky") for number in (1, 2, 3)
    }
    assert workflow["concurrency"]["cancel-in-progress"] is False
    script = "\n".join(scripts(workflow))
    assert script.split("for engine in ")[1].split(";")[0].split() == ["bookworm", "trixie", "forky"]
    for env, commands in tox_commands().items():
        if env.startswith("engine-"):
            assert commands == [["netfacts", "run", "--engine", env.replace("engine-", "debian:")]]


def test_unknown_options_are_noticed() -> None:
    with pytest.raises(AssertionError):
        refuse_unknown_options(["run", "--shards", "1/3"])
    with pytest.raises(AssertionError):
        refuse_unknown_options(["runs"])
