"""How many tasks a worker with a gate may begin a second: as many as its provider takes, found by trying.

Providers limit requests a time, not requests at once; so what is adapted is the rate at which tasks begin, and the
number at once follows from how long they take. It grows while nothing is refused, and is cut when something is:
additive increase and multiplicative decrease, with a memory of the rate at which the last refusal came, near which
it stays longest (as CUBIC does: RFC 9438, section 4.2). Why so, docs/decisions/0011 tells.

All times are seconds of time.monotonic(), all rates tasks a second.
"""

from __future__ import annotations

FIRST_RATE = 10.0
"""The rate at which a worker begins that knows nothing of its provider."""

DOUBLING = 1.0
"""Seconds in which the rate doubles until the first refusal."""

CUT = 0.85
"""What a refusal leaves of the peak."""

FIRST_CUT = 0.5
"""The peak after the first refusal, in parts of the rate: it was doubled, and may be twice what is taken."""

RETURN = 10.0
"""Seconds from a cut until the rate is where it was before; then it goes on to grow, slowly at first."""

LOWEST_RATE = 0.02
"""A task in 50 seconds: the rate is never cut below it."""

LONGEST_STEP = 1.0
"""Seconds, or two tasks' time if that is longer, for which the rate grows at most between tasks that begin: what
keeps them from beginning for longer is not the pace, but say a database that is away."""

BURST = 0.1
"""Seconds whose tasks may begin together, when none has begun for a while; one may always."""

TOGETHER = 0.02
"""Seconds whose tasks are waited for, so that a high rate does not mean as many claims."""

RAMP = 1.5
"""Seconds after a long closing in which the rate comes back, doubling from an eighth."""

RAMP_LOOK = 0.25
"""Seconds after which, in the ramp, the wait for the next task is reckoned anew: the rate has grown meanwhile."""

LONG_CLOSING = 2.0
"""Seconds from which on a closing is a long one."""

PROBE_PATIENCE = 5.0
"""Seconds after which a task that was to show whether the provider is back is taken to have shown it."""


class Pace:
    """The rate of one worker. now: the time, given to each call."""

    def __init__(self, now: float) -> None:
        self._rate = FIRST_RATE
        self._peak: float | None = None
        self._since_cut = 0.0
        self._cut_at = float("-inf")
        self._tokens = 1.0
        self._counted_at = now
        self._closed_until = float("-inf")
        self._ramp_from = float("-inf")
        self._begun_at = now
        self._is_limiting = False
        self._probing = False
        self._probe_begun_at: float | None = None

    @property
    def rate(self) -> float:
        """Tasks a second, once the ramp after a closing is over."""
        return self._rate

    def is_closed(self, now: float) -> bool:
        """Whether nothing may begin, since the gate is closed as far as is known here."""
        return now < self._closed_until

    def allows(self, now: float) -> int:
        """How many tasks may begin now."""
        self._count(now)
        if self.is_closed(now):
            return 0
        if self._probing:
            if self._probe_begun_at is None:
                return 1
            if now < self._probe_begun_at + PROBE_PATIENCE:
                return 0
            self._end_probe(now)
        return int(self._tokens) if self._tokens >= self._together(now) else 0

    def wait(self, now: float) -> float:
        """Seconds until another task may begin, as far as is known now; 0 when one may."""
        if self.allows(now) > 0:
            return 0.0
        if self.is_closed(now):
            return self._closed_until - now
        if self._probing and self._probe_begun_at is not None:
            return self._probe_begun_at + PROBE_PATIENCE - now
        seconds = max(0.001, (self._together(now) - self._tokens) / self._effective_rate(now))
        return min(seconds, RAMP_LOOK) if now < self._ramp_from + RAMP else seconds

    def record_start(self, tasks: int, now: float, *, is_limiting: bool) -> None:
        """So many tasks begin now. is_limiting: more would have, but for the pace; only then the rate grows."""
        self._count(now)
        if tasks and is_limiting and self._is_limiting and not self._probing:
            grows_from = max(self._begun_at, self._cut_at, self._closed_until, self._ramp_from + RAMP)
            self._grow(min(now - grows_from, max(LONGEST_STEP, 2 / self._rate)))
        self._begun_at, self._is_limiting = now, is_limiting
        # Those that began out of turn, to try whether it is open, leave no debt.
        self._tokens = max(0.0, self._tokens - tasks)
        if self._probing and tasks and self._probe_begun_at is None:
            self._probe_begun_at = now

    def record_success(self, began: float, now: float) -> bool:
        """A task that began then has ended well; whether it was to show that the provider is back."""
        if self._is_probe(began):
            self._end_probe(now)
            return True
        return False

    def record_undecided(self, began: float) -> bool:
        """A task that began then has ended and shown nothing; whether another is to show it now."""
        if self._is_probe(began):
            self._probe_begun_at = None
            return True
        return False

    def record_refusal(self, began: float, now: float) -> None:
        """The provider has refused the call of a task that began then, since there were too many."""
        if began >= self._cut_at:
            self._cut(now)

    def close(self, until: float, now: float, *, half_open: bool) -> None:
        """The gate is closed until then; if it is for longer already, it stays so.

        half_open: afterwards one task is to show whether the provider is back.
        """
        self._count(now)
        if until < self._closed_until:
            return
        if until - now > LONG_CLOSING:
            self._begin_ramp(until)
        self._closed_until = until
        self._probing, self._probe_begun_at = half_open, None

    def open(self, now: float) -> None:
        """The gate is open, whatever was known of it before."""
        if self.is_closed(now):
            self._closed_until = now
            self._begin_ramp(now)

    def _is_probe(self, began: float) -> bool:
        return self._probing and self._probe_begun_at is not None and began >= self._probe_begun_at

    def _end_probe(self, now: float) -> None:
        self._probing, self._probe_begun_at = False, None
        self._begin_ramp(now)

    def _cut(self, now: float) -> None:
        self._count(now)
        if self._peak is None:
            peak = self._rate * FIRST_CUT
        elif self._rate < self._peak:
            # The rate at which nothing was refused for long is higher than one that was refused on the way there.
            peak = self._rate * (1 + CUT) / 2
        else:
            peak = self._rate
        self._peak = max(LOWEST_RATE, peak)
        self._rate = max(LOWEST_RATE, self._peak * CUT)
        self._since_cut = 0.0
        self._cut_at = now
        self._tokens = min(self._tokens, 0.0)

    def _begin_ramp(self, at: float) -> None:
        self._ramp_from = at
        self._tokens = min(self._tokens, 1.0)

    def _count(self, now: float) -> None:
        """Brings the tokens up to date."""
        open_for = max(0.0, now - max(self._counted_at, self._closed_until))
        self._counted_at = now
        rate = self._effective_rate(now)
        self._tokens = min(max(1.0, rate * BURST), self._tokens + open_for * rate)

    def _grow(self, seconds: float) -> None:
        """The pace was what limited for so long, and nothing was refused."""
        if seconds <= 0:
            return
        if self._peak is None:
            self._rate *= 2 ** (seconds / DOUBLING)
            return
        self._since_cut += seconds
        grown = self._peak + self._peak * (1 - CUT) * (self._since_cut / RETURN - 1) ** 3
        self._rate = min(2 * self._rate, max(LOWEST_RATE, grown))

    def _together(self, now: float) -> float:
        """How many tokens are waited for."""
        return max(1.0, self._effective_rate(now) * TOGETHER)

    def _effective_rate(self, now: float) -> float:
        doublings = 3 * max(0.0, now - self._ramp_from) / RAMP
        return self._rate * min(1.0, 2 ** min(0.0, doublings - 3))
