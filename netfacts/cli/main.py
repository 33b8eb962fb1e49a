"""The commands' common frame: one app, and errors as a few lines and an exit code."""

from __future__ import annotations

import sys
from typing import Any

import typer

from netfacts import __version__
from netfacts.cli import doctor, facts, report, run, sweep
from netfacts.model.errors import NetfactsError, UsageError

EXIT_CODES = (
    "Exit codes: 0 all exercised facts conform · 1 a fact deviates or a sabotage survives · 2 interrupted · "
    "3 inconclusive or an error of netfacts · 4 wrong usage · 5 nothing was exercised"
)

# typer carries a click of its own since 0.26, and used click's before: this is the one that it raises.
_WRONG_USAGE: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

# What typer makes of Ctrl-C.
_INTERRUPTED = 130

app = typer.Typer(
    name="netfacts",
    help="Puts the documented facts of Docker networking to a real engine, and says with evidence which hold.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("sabotage")(run.sabotage)
app.add_typer(facts.app, name="facts")
app.command("doctor")(doctor.doctor)
app.command("report")(report.report)
app.command("sweep")(sweep.sweep)


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
        print(f"netfacts: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = _INTERRUPTED
    except BrokenPipeError:
        # `netfacts facts list | head`: the reader has seen enough.
        sys.stderr.close()
        return 0
    if status == _INTERRUPTED:
        print("netfacts: interrupted", file=sys.stderr)
        return 2
    return status if isinstance(status, int) else 0
