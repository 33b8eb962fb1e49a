"""The commands' common frame: one app, and errors as a few lines and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from netfacts import __version__
from netfacts.cli.interrupt import end_in_order
from netfacts.model.errors import NetfactsError, UsageError

EXIT_CODES = (
    "Exit codes: 0 all exercised facts conform · 1 a fact deviates, a sabotage survives or a cell is wrong · "
    "2 interrupted · 3 inconclusive or an error of netfacts · 4 wrong usage · 5 nothing was exercised · "
    "6 a fact regresses"
)

COMMANDS = {
    "run": "run:run",
    "sabotage": "run:sabotage",
    "upgrade": "upgrade:upgrade",
    "compare": "compare:compare",
    "merge": "merge:merge",
    "facts": "facts:app",
    "engines": "engines:app",
    "lab": "lab:app",
    "matrix": "matrix:matrix",
    "doctor": "doctor:doctor",
    "report": "report:report",
    "sweep": "sweep:sweep",
}
"""Each command, in the order of the help, with its module in this package and what stands for it there."""

# typer carries a click of its own since 0.26, and used click's before: this is the one that it raises.
_WRONG_USAGE: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

# What typer makes of Ctrl-C.
_INTERRUPTED = 130


class _Group(TyperGroup):
    """The commands, each imported when it is called: reading a record needs neither Docker's SDK nor pytest."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        # For a name that is none of them all are there, so that typer can suggest the nearest.
        for name in [cmd_name] if cmd_name in COMMANDS else COMMANDS:
            if name not in self.commands:
                self.commands[name] = _load(name)
        return self.commands.get(cmd_name)


def _load(name: str) -> Any:
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(f"netfacts.cli.{module}"), attribute)
    if isinstance(found, typer.Typer):
        loaded: Any = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        loaded = typer.main.get_command(alone)
    loaded.name = name
    end_in_order()
    return loaded


app = typer.Typer(
    name="netfacts",
    cls=_Group,
    help="Puts the documented facts of Docker networking to a real engine, and says with evidence which hold.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"netfacts {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Say the version."),
) -> None:
    pass


def main(argv: list[str] | None = None) -> int:
    """Run a command; gives the exit code."""
    command = typer.main.get_command(app)
    try:
        status = command.main(argv, prog_name="netfacts", standalone_mode=False)
    except _WRONG_USAGE as error:
        error.show()
        return UsageError.exit_code
    except NetfactsError as error:
        # In it are words of engines, files and other programs, which must not speak to the terminal itself.
        from reports.wording import visible

        print(f"netfacts: {visible(str(error))}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except BrokenPipeError:
        # `netfacts facts list | head`: the reader has seen enough.
        sys.stderr.close()
        return 0
    except SystemExit as ended:
        # What rich makes of that.
        if isinstance(ended.__context__, BrokenPipeError):
            return 0
        raise
    if status == _INTERRUPTED:
        print("netfacts: interrupted", file=sys.stderr)
        return 2
    return status if isinstance(status, int) else 0
