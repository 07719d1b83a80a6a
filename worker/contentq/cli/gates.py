"""`contentq pause` and `contentq resume`: no claims of a provider's workers, of an account, or at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from contentq.cli.durations import DURATION
from contentq.cli.output import json_option, print_json, print_text, shown
from contentq.cli.session import connected

if TYPE_CHECKING:
    from contentq.cli.main import GlobalOptions

_NO_GATES = "no live worker has this gate, nor any other"

F = TypeVar("F", bound=Callable[..., Any])


def _subject(command: F) -> F:
    """The options that say what is paused or resumed."""
    command = click.option("--all", "everyone", is_flag=True, help="Every worker.")(command)
    command = click.option("--account", type=int, metavar="ID", help="The tasks of one account.")(command)
    return click.option("--gate", metavar="KEY", help="The workers with this gate.")(command)


@click.command()
@_subject
@click.option("--for", "duration", type=DURATION, help="For so long, such as 10m; else until it is resumed.")
@click.option("--reason", metavar="TEXT", help="Why, for those who look; with --gate and --all.")
@json_option
@click.pass_obj
def pause(
    options: GlobalOptions,
    /,
    gate: str | None,
    account: int | None,
    everyone: bool,
    duration: timedelta | None,
    reason: str | None,
    as_json: bool,
) -> None:
    """Claim no more: of a provider, of an account, or at all.

    What runs goes on. A gate that is closed for longer already stays so; an account's pause is replaced.
    """
    from contentq.queue import gates

    gate = _one_of(gate, account, everyone)
    note = None
    if account is not None and reason is not None:
        raise click.UsageError("--reason goes with --gate or --all; accounts have none")
    with connected(options) as connection:
        if account is not None:
            until = gates.pause_account(connection, account, duration)
        else:
            assert gate is not None
            until = gates.close_gate(connection, gate, duration, reason)
            note = _no_one_has(gate, gates.gates_of_live_workers(connection))
    if as_json:
        print_json({"gate": gate, "account": account, "paused_until": until, "note": note})
        return
    print_text(f"{_name(gate, account)} {_until(until, gate, account)}")
    if note is not None:
        print_text(note, err=True)


@click.command()
@_subject
@json_option
@click.pass_obj
def resume(
    options: GlobalOptions, /, gate: str | None, account: int | None, everyone: bool, as_json: bool
) -> None:
    """Claim again what was paused.

    --all ends what pause --all began; gates and accounts that were paused by themselves stay so.
    """
    from contentq.queue import gates

    gate = _one_of(gate, account, everyone)
    used_up = None
    with connected(options) as connection:
        if account is not None:
            was_paused = gates.resume_account(connection, account)
            used_up = gates.used_up_until(connection, account)
        else:
            assert gate is not None
            was_paused = gates.open_gate(connection, gate)
        still_closed = gates.closed_gates(connection)
    if as_json:
        print_json({"gate": gate, "account": account, "was_paused": was_paused})
        return
    print_text(f"{_name(gate, account)} {_resumed(gate, account, was_paused)}")
    if used_up is not None:
        click.echo(f"its monthly budget is used up: nothing of it is claimed before {shown(used_up)}")
    elif gate == gates.EVERYONE and still_closed:
        print_text(f"still closed: {', '.join(still_closed)}")
    elif gates.EVERYONE in still_closed:
        click.echo("all workers are still paused: contentq resume --all")


def _one_of(gate: str | None, account: int | None, everyone: bool) -> str | None:
    """The key of the gate, None for an account. Raises UsageError unless exactly one thing is named."""
    from contentq.queue.gates import EVERYONE

    if (gate is not None) + (account is not None) + everyone != 1:
        raise click.UsageError("name one of --gate KEY, --account ID and --all")
    if gate == "":
        raise click.UsageError("--gate needs the key of a gate, such as the host of a provider")
    return EVERYONE if everyone else gate


def _no_one_has(gate: str, there_are: list[str]) -> str | None:
    """What is to be said of a gate that no live worker has, which may be misspelled; None of another."""
    from contentq.queue.gates import EVERYONE

    if gate == EVERYONE or gate in there_are:
        return None
    return f"no live worker has this gate; there are: {', '.join(there_are)}" if there_are else _NO_GATES


def _name(gate: str | None, account: int | None) -> str:
    from contentq.queue.gates import EVERYONE

    if account is not None:
        return f"account {account}"
    return "claiming" if gate == EVERYONE else f"gate {gate}"


def _until(until: datetime | str, gate: str | None, account: int | None) -> str:
    from contentq.queue.gates import EVERYONE, INFINITY

    state = "is paused" if account is not None or gate == EVERYONE else "is closed"
    if until != INFINITY:
        return f"{state} until {shown(until)}"
    subject = "--all" if gate == EVERYONE else f"--account {account}" if account is not None else f"--gate {gate}"
    return f"{state}; to end that: contentq resume {subject}"


def _resumed(gate: str | None, account: int | None, was_paused: bool) -> str:
    from contentq.queue.gates import EVERYONE

    if account is not None or gate == EVERYONE:
        return "goes on" if was_paused else "was not paused"
    return "is open again" if was_paused else "was not closed"
