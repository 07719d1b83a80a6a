"""`contentq pause` and `contentq resume`: whether tasks of a gate, of an account, or any at all are claimed."""

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
"""The key of the gate that every worker has."""


@dataclass(frozen=True)
class Subject:
    """What is paused or resumed: the gate with this key, or the account with this id."""

    gate: str | None
    account: int | None = None

    @property
    def name(self) -> str:
        """In a sentence."""
        if self.account is not None:
            return f"account {self.account}"
        return "claiming" if self.gate == EVERYONE else f"gate {self.gate}"

    @property
    def option(self) -> str:
        """On the command line."""
        if self.account is not None:
            return f"--account {self.account}"
        return "--all" if self.gate == EVERYONE else f"--gate {self.gate}"

    @property
    def is_paused_not_closed(self) -> bool:
        """Which of the two words people use for it."""
        return self.account is not None or self.gate == EVERYONE


def _subject_options(command: F) -> F:
    """Adds the options that name what is paused or resumed."""
    of_account = "The tasks of one account: its id, external:VALUE, or its name."
    command = click.option("--all", "everyone", is_flag=True, help="Every worker.")(command)
    command = click.option("--account", metavar="ACCOUNT", help=of_account)(command)
    return click.option("--gate", metavar="KEY", help="The workers with this gate.")(command)


@click.command()
@_subject_options
@click.option("--for", "duration", type=DURATION, help="For this long, such as 10m; otherwise until resumed.")
@click.option("--reason", metavar="TEXT", help="Why; shown to whoever looks. With --gate and --all.")
@json_option
@click.pass_obj
def pause(
    options: GlobalOptions, /, duration: timedelta | None, reason: str | None, as_json: bool, **named: Any
) -> None:
    """Stop claiming tasks for a gate, an account, or everything.

    Tasks that are running go on. A gate that is closed for longer already stays closed; a new pause of an account
    replaces its old one.
    """
    from contentq.queue import gates

    _check_subject(**named)
    if named["account"] is not None and reason is not None:
        raise click.UsageError("--reason goes with --gate or --all; accounts have none")
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

    --all ends only what pause --all began; gates and accounts that were paused separately stay paused.
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
        print_line(f"its budget is used up: none of its tasks is claimed before {format_value(over_budget_until)}")
    elif subject.gate == EVERYONE and still_closed:
        print_line(f"still closed: {', '.join(still_closed)}")
    elif EVERYONE in still_closed:
        print_line("all workers are still paused: contentq resume --all")


def _check_subject(gate: str | None, account: str | None, everyone: bool) -> None:
    """Raises UsageError unless exactly one thing is named."""
    if (gate is not None) + (account is not None) + everyone != 1:
        raise click.UsageError("name one of --gate KEY, --account ACCOUNT and --all")
    if gate == "":
        raise click.UsageError("--gate needs the key of a gate, such as the host of a provider")


def _find_subject(connection: Connection, gate: str | None, account: str | None, everyone: bool) -> Subject:
    """What the options name. Raises ContentQueueError when there is no such account."""
    from contentq.queue.accounts import find_account

    if account is not None:
        return Subject(None, find_account(connection, account))
    return Subject(EVERYONE if everyone else gate)


def _note_unused_gate(gate: str, there_are: list[str]) -> str | None:
    """A note for a gate that no live worker has, which may be misspelled; None for another."""
    if gate == EVERYONE or gate in there_are:
        return None
    if not there_are:
        return "no live worker has this gate, nor any other"
    return f"no live worker has this gate; there are: {', '.join(there_are)}"


def _describe_pause(subject: Subject, until: datetime | str) -> str:
    from contentq.queue.reading import INFINITY

    state = "is paused" if subject.is_paused_not_closed else "is closed"
    if until != INFINITY:
        return f"{state} until {format_value(until)}"
    return f"{state}; to end that: contentq resume {subject.option}"


def _describe_resumption(subject: Subject, was_paused: bool) -> str:
    if subject.is_paused_not_closed:
        return "goes on" if was_paused else "was not paused"
    return "is open again" if was_paused else "was not closed"
