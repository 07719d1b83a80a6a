"""`contentq pause` and `contentq resume`: stop and resume claiming for a gate, an account, or all workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.output import format_value, json_option, print_json, print_line
from contentq.cli.session import open_session
from contentq.durations import DURATION

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions
    from contentq.queue.reading import Connection

F = TypeVar("F", bound=Callable[..., Any])

EVERYONE = "*"
"""The key of the gate of every worker."""


@dataclass(frozen=True)
class Subject:
    """The target of a pause: the gate with this key, or the account with this id."""

    gate: str | None
    account: int | None = None

    @property
    def name(self) -> str:
        """The name in a sentence."""
        if self.account is not None:
            return f"account {self.account}"
        return "claiming" if self.gate == EVERYONE else f"gate {self.gate}"

    @property
    def option(self) -> str:
        """The option on the command line."""
        if self.account is not None:
            return f"--account {self.account}"
        return "--all" if self.gate == EVERYONE else f"--gate {self.gate}"

    @property
    def is_paused_not_closed(self) -> bool:
        """Whether people say paused instead of closed."""
        return self.account is not None or self.gate == EVERYONE


def _subject_options(command: F) -> F:
    """Adds the options that name the target."""
    of_account = "The tasks of this account: its id, external:VALUE, or its name."
    command = click.option("--all", "everyone", is_flag=True, help="All workers.")(command)
    command = click.option("--account", metavar="ACCOUNT", help=of_account)(command)
    return click.option("--gate", metavar="KEY", help="All workers that have this gate.")(command)


@click.command()
@_subject_options
@click.option("--for", "duration", type=DURATION, help="How long, such as 10m. Default: until resumed.")
@click.option("--reason", metavar="TEXT", help="The reason, shown to other operators; only with --gate or --all.")
@json_option
@click.pass_obj
def pause(
    options: GlobalOptions, /, duration: timedelta | None, reason: str | None, as_json: bool, **named: Any
) -> None:
    """Stop claiming tasks for a gate, an account, or everything.

    Running tasks continue. A gate that is already closed for longer stays closed. A new pause of an account
    replaces the old one.
    """
    from contentq.queue import gates

    _check_subject(**named)
    if named["account"] is not None and reason is not None:
        raise click.UsageError("--reason needs --gate or --all; a pause of an account has no reason")
    note = None
    with open_session(options) as connection:
        subject = _find_subject(connection, **named)
        if subject.account is not None:
            until = gates.pause_account(connection, subject.account, duration)
        else:
            assert subject.gate is not None
            until = gates.close_gate(connection, subject.gate, duration, reason)
            note = _note_unused_gate(subject.gate, gates.gates_of_live_workers(connection))
    if as_json:
        print_json({"gate": subject.gate, "account": subject.account, "paused_until": until, "note": note})
        return
    print_line(f"{subject.name} {_describe_pause(subject, until)}")
    if note is not None:
        print_line(note, err=True)


@click.command()
@_subject_options
@json_option
@click.pass_obj
def resume(options: GlobalOptions, /, as_json: bool, **named: Any) -> None:
    """Claim tasks again after a pause.

    --all ends only a pause with --all. Gates and accounts that were paused separately stay paused.
    """
    from contentq.queue import gates

    _check_subject(**named)
    over_budget_until = None
    with open_session(options) as connection:
        subject = _find_subject(connection, **named)
        if subject.account is not None:
            was_paused = gates.resume_account(connection, subject.account)
            over_budget_until = gates.over_budget_until(connection, subject.account)
        else:
            assert subject.gate is not None
            was_paused = gates.open_gate(connection, subject.gate)
        still_closed = gates.closed_gates(connection)
    if as_json:
        print_json({"gate": subject.gate, "account": subject.account, "was_paused": was_paused})
        return
    print_line(f"{subject.name} {_describe_resumption(subject, was_paused)}")
    if over_budget_until is not None:
        print_line(f"its budget is used up: its tasks are not claimed before {format_value(over_budget_until)}")
    elif subject.gate == EVERYONE and still_closed:
        print_line(f"still closed: {', '.join(still_closed)}; open each with: contentq resume --gate KEY")
    elif EVERYONE in still_closed:
        print_line("all workers are still paused; resume them with: contentq resume --all")


def _check_subject(gate: str | None, account: str | None, everyone: bool) -> None:
    """Raises UsageError unless exactly one target is named."""
    if (gate is not None) + (account is not None) + everyone != 1:
        raise click.UsageError("give exactly one of --gate KEY, --account ACCOUNT and --all")
    if gate == "":
        raise click.UsageError("--gate is empty: give the key of a gate, such as the host of a provider")


def _find_subject(connection: Connection, gate: str | None, account: str | None, everyone: bool) -> Subject:
    """The target that the options name. Raises ContentQueueError if the account does not exist."""
    from contentq.queue.accounts import find_account

    if account is not None:
        return Subject(None, find_account(connection, account))
    return Subject(EVERYONE if everyone else gate)


def _note_unused_gate(gate: str, there_are: list[str]) -> str | None:
    """Returns a note if no live worker has the gate, which may be misspelled; otherwise None."""
    if gate == EVERYONE or gate in there_are:
        return None
    if not there_are:
        return "no live worker has this gate, and none has another gate"
    return f"no live worker has this gate; gates of live workers: {', '.join(there_are)}"


def _describe_pause(subject: Subject, until: datetime | str) -> str:
    from contentq.queue.reading import INFINITY

    state = "is paused" if subject.is_paused_not_closed else "is closed"
    if until != INFINITY:
        return f"{state} until {format_value(until)}"
    return f"{state}; resume with: contentq resume {subject.option}"


def _describe_resumption(subject: Subject, was_paused: bool) -> str:
    if subject.is_paused_not_closed:
        return "is resumed" if was_paused else "was not paused"
    return "is open again" if was_paused else "was not closed"
