"""The output of `contentq try`: the outcome that a worker would report, and its effect on the task."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from contentq.cli.output import count_of, print_json, print_line, print_message, print_prose, print_text
from contentq.usage import counted_usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contentq.checks.check import Checked
    from contentq.queue.outcomes import Failed, Revised, Stored
    from contentq.task import Task
    from contentq.testing.trial import Trial


class Verdict:
    """The effect of a trial on its task."""

    def __init__(self, task: Task, trial: Trial, checked: Sequence[Checked] = ()) -> None:
        from contentq.errors import HandlerError
        from contentq.queue.outcomes import Completed, Failed, Revised, Snoozed, Stored

        self._trial = trial
        self._checked = checked
        self._content: dict[str, Any] | None = None
        self._result: Any = None
        self._retry_after: float | None = None
        self._message = ""
        self._state: Any = None
        error, outcome = trial.error, trial.outcome
        self._is_unexpected = error is not None and not isinstance(error, HandlerError)
        usage: Any = None
        if isinstance(outcome, Failed | Snoozed) and outcome.usage is not None:
            usage = json.loads(outcome.usage)
        if isinstance(outcome, Failed | Snoozed) and outcome.state is not None:
            self._state = json.loads(outcome.state)
        if isinstance(outcome, Completed):
            self._word = "completed"
            self._result = usage = json.loads(outcome.result)
        elif isinstance(outcome, Stored):
            self._word = "completed"
            self._content = _content_of(outcome)
            self._result = usage = json.loads(outcome.extra) if outcome.extra else {}
        elif isinstance(outcome, Snoozed):
            self._word, self._message = "snoozed", outcome.message
            self._retry_after = None if outcome.delay is None else outcome.delay.total_seconds()
            after = "a time that contentq chooses" if outcome.delay is None else f"{self._retry_after:g} s"
            self._effect = f"snoozed for {after}"
        elif isinstance(outcome, Revised):
            usage = json.loads(outcome.extra) if outcome.extra else None
            self._take_revised(outcome, task)
        elif isinstance(outcome, Failed):
            self._take_failed(outcome, task)
        else:
            self._word, self._message = "timeout", "Task execution timeout"
            self._effect = "ended by its deadline, as timeout"
        self._usage = counted_usage(usage)

    def _take_failed(self, outcome: Failed, task: Task) -> None:
        self._message = outcome.message
        if outcome.permanent or task.is_last_attempt:
            self._word = "failed"
            self._effect = self._word if outcome.permanent else "failed, because no retry is left"
            return
        self._word = "retried"
        delay = outcome.retry_after
        self._retry_after = None if delay is None else delay.total_seconds()
        after = "a random backoff" if delay is None else f"{self._retry_after:g} s"
        self._effect = f"retried after {after} (retry {task.retry_count + 1} of {task.max_retries})"

    def _take_revised(self, outcome: Revised, task: Task) -> None:
        self._message = outcome.message
        if outcome.draft is not None:
            self._content = _content_of(outcome.draft)
        if task.revision_count < outcome.max_revisions:
            self._word = "revised"
            which = f"revision {task.revision_count + 1} of {outcome.max_revisions}"
            self._effect = f"requeued with its draft ({which})"
        elif outcome.keep_for_review and outcome.draft is not None:
            self._word = "for review"
            self._effect = "completed for a review, because no revision is left"
        else:
            self._word, self._effect = "failed", "failed, because no revision is left"

    @property
    def is_completed(self) -> bool:
        """Whether the task would be completed."""
        return self._word == "completed"

    def print(self) -> None:
        """Prints the content or result, then time, tokens and cost; errors go to standard error."""
        if self._content is not None:
            print_prose(self._content["title"])
            print_prose(f"{count_of(self._content['word_count'], 'word')}\n\n{self._content['body'].strip()}\n")
        for each in self._checked:
            print_prose(_describe(each))
        if not self.is_completed:
            self._print_what_went_wrong()
        elif self._content is None or self._result.keys() - self._usage.keys():
            print_json(self._result)
        print_line(self._taken(), err=not self.is_completed)

    def print_as_json(self) -> None:
        """Prints JSON. The traceback of an unexpected error goes to standard error."""
        if self.is_completed:
            what = {**(self._content or {}), "result": self._result}
        else:
            self._print_traceback()
            what = {
                **(self._content or {}),
                "error_message": self._message,
                "retry_after": self._retry_after,
                "usage": self._usage or None,
            }
            if self._state is not None:
                what["state"] = self._state
        checks = [
            {
                "name": each.name,
                "setting": each.setting,
                "outcome": each.outcome,
                "why": each.problem or each.skipped,
            }
            for each in self._checked
        ]
        seconds = round(self._trial.seconds, 3)
        print_json({"outcome": self._word, **what, **({"checks": checks} if checks else {}), "seconds": seconds})

    def _print_what_went_wrong(self) -> None:
        self._print_traceback()
        message = f": {self._message}" if self._message else ""
        print_message(f"The task would be {self._effect}{message}", err=True)
        if self._state is not None:
            print_message(
                f"The next attempt would get the state {json.dumps(self._state, ensure_ascii=False)}", err=True
            )
        if self._trial.goes_on:
            print_line("The handler is still running; in a worker it would keep its slot.", err=True)

    def _print_traceback(self) -> None:
        from contentq.engine.results import traceback_of

        if self._is_unexpected and self._trial.error is not None and self._message:
            print_text("Your handler raised an unexpected exception:\n", err=True)
            print_text(f"{traceback_of(self._trial.error)}\n", err=True)

    def _taken(self) -> str:
        """Seconds, tokens and cost on one line."""
        usage = self._usage
        parts = [f"took {self._trial.seconds:.2f} s"]
        if "model" in usage:
            parts.append(f"model {usage['model']}")
        tokens = [
            f"{usage[f'{kind}_tokens']} {kind}" for kind in ("prompt", "completion") if f"{kind}_tokens" in usage
        ]
        if tokens:
            parts.append(f"{' + '.join(tokens)} tokens")
        if "cost" in usage:
            parts.append(f"cost {_plain(usage['cost'])}")
        return ", ".join(parts)


def _describe(checked: Checked) -> str:
    """The result of a check on one line, for example `min_words 300: passed`."""
    values = checked.setting if isinstance(checked.setting, list) else [checked.setting]
    setting = "" if checked.setting is True else f" {', '.join(map(str, values))}"
    why = checked.problem or checked.skipped
    return f"check {checked.name}{setting}: {checked.outcome}" + (f": {why}" if why else "")


def _content_of(stored: Stored) -> dict[str, Any]:
    return {"title": stored.title, "body": stored.body, "word_count": stored.word_count}


def _plain(number: Any) -> str:
    """A number without an exponent."""
    return f"{number:.9f}".rstrip("0").rstrip(".") if isinstance(number, float) else str(number)
