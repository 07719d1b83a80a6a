"""The command `contentq`: its subcommands and exit codes."""

from __future__ import annotations

import importlib
import io
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import click

from contentq.cli.empty import not_empty
from contentq.cli.notes import notes_to_stderr, warn_of_password
from contentq.cli.output import print_text, set_raw
from contentq.cli.streams import abandon_output, open_standard_streams, print_error
from contentq.errors import MigrationStopped
from contentq.failures import EXIT_INTERRUPTED, explain_error
from contentq.version import __version__

EXIT_CODES = """\b
Exit codes:
    0  done
    1  the command failed
    2  wrong usage
    3  the database cannot be reached
    4  the schema is not migrated, or older or newer than this program
    5  the input was refused; nothing was inserted
    6  the worker was stopped and released running tasks
    7  the tasks were inserted, but the output could not be written
    8  the tasks did not end in time
   10  contentq doctor found warnings
   11  contentq doctor found errors
  130  interrupted with Ctrl-C; contentq bench also on SIGTERM or SIGHUP
"""

COMMANDS = {
    "migrate": "contentq.cli.migrate:migrate",
    "roles": "contentq.cli.roles:roles",
    "worker": "contentq.cli.worker_command:worker",
    "try": "contentq.cli.try_command:try_command",
    "submit": "contentq.cli.submit:submit",
    "wait": "contentq.cli.wait:wait",
    "batches": "contentq.cli.batches:batches",
    "list": "contentq.cli.tasks:list_tasks",
    "show": "contentq.cli.tasks:show",
    "explain": "contentq.cli.explain:explain",
    "errors": "contentq.cli.errors:errors",
    "requeue": "contentq.cli.operate:requeue",
    "cancel": "contentq.cli.operate:cancel",
    "delete": "contentq.cli.operate:delete",
    "review": "contentq.cli.review:review",
    "pause": "contentq.cli.gates:pause",
    "resume": "contentq.cli.gates:resume",
    "gates": "contentq.cli.gate_limits:gates",
    "accounts": "contentq.cli.accounts:accounts",
    "budgets": "contentq.cli.budgets:budgets",
    "prices": "contentq.cli.prices:prices",
    "stats": "contentq.cli.stats:stats",
    "doctor": "contentq.cli.doctor:doctor",
    "web": "contentq.cli.web:web",
    "metrics": "contentq.cli.metrics:metrics",
    "top": "contentq.cli.top:top",
    "maintain": "contentq.cli.operate:maintain",
    "cleanup": "contentq.cli.operate:cleanup",
    "bench": "contentq.cli.bench:bench",
    "db": "contentq.cli.db:db",
    "completion": "contentq.cli.completion:completion",
}
"""Where each subcommand is. Modules are imported on demand, so that `contentq --help` is quick."""

ALIASES = {"retry": "requeue"}
"""Other names of subcommands."""


_BEFORE = {"--dsn": "--dsn DSN", "--raw": "--raw"}
"""Options that go before the subcommand."""


@dataclass(frozen=True)
class GlobalOptions:
    """The options before the subcommand."""

    dsn: str | None


class ReaderGone(Exception):
    """The reader of the output has closed it."""


class Commands(click.Group):
    """The subcommands, in the order in which a new user needs them."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a subcommand. Raises ReaderGone, because click would exit with 1 for a BrokenPipeError."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGone from error

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names of the subcommands."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports a subcommand."""
        name = ALIASES.get(cmd_name, cmd_name)
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(cls=Commands, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--dsn",
    metavar="DSN",
    callback=not_empty,
    help="The database. Default: DATABASE_URL, then the embedded server (contentq db start).",
)
@click.option(
    "--raw", is_flag=True, help="Print control, bidirectional and invisible characters without escaping them."
)
@click.version_option(__version__, prog_name="contentq")
@click.pass_context
def main(ctx: click.Context, /, dsn: str | None, raw: bool) -> None:
    """A PostgreSQL queue for content-generation tasks."""
    set_raw(raw)
    warn_of_password("--dsn", dsn)
    ctx.obj = GlobalOptions(dsn)


def run() -> None:
    """Runs the command line; exits with one of the documented exit codes."""
    open_standard_streams()
    sys.excepthook = _print_traceback
    exit_code = execute(sys.argv[1:])
    abandon_output()
    sys.exit(exit_code)


def execute(arguments: list[str]) -> int:
    """Runs one command; returns its exit code."""
    set_raw(False)
    try:
        with notes_to_stderr():
            outcome: Any = main.main(arguments, prog_name="contentq", standalone_mode=False)
        sys.stdout.flush()
    except (click.exceptions.Abort, KeyboardInterrupt):
        print_error("interrupted")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        with suppress(OSError):
            _show(_hint_at_place(error))
        return error.exit_code
    except (ReaderGone, BrokenPipeError):
        abandon_output()
        return 0
    except Exception as error:
        found = explain_error(error)
        if found is None:
            raise
        message, exit_code = found
        print_error(f"Error: {message}", of_several_lines=isinstance(error, MigrationStopped))
        abandon_output()
        return exit_code
    return outcome if isinstance(outcome, int) else 0


def _show(error: click.ClickException) -> None:
    """Prints click's message, which quotes arguments."""
    shown = io.StringIO()
    error.show(shown)
    print_text(shown.getvalue().removesuffix("\n"), err=True)


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Prints the traceback of a bug as Python does, but escapes the text of the error."""
    with suppress(OSError):
        print_text("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"), err=True)


def _hint_at_place(error: click.ClickException) -> click.ClickException:
    """Returns the error; for a --dsn or --raw after the command, one that says where the option goes."""
    if not isinstance(error, click.NoSuchOption) or error.option_name not in _BEFORE or error.ctx is None:
        return error
    command = error.ctx.command_path.removeprefix("contentq ")
    if command.split()[0] == "db" and error.option_name == "--dsn":  # db knows only the embedded server
        return error
    option = error.option_name
    return click.UsageError(f"{option} goes before the command: contentq {_BEFORE[option]} {command}", error.ctx)
