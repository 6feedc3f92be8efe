"""Phi accrual: how surely a backend that does not answer is gone, from how regularly it did before.

After Hayashibara and others, "The phi accrual failure detector" (2004), with the exponential model: phi is the negative
decimal logarithm of the chance that a success is still to come, so 1 is wrong once in ten times, 8 once in 10^8.
"""

import math
from collections import deque

WINDOW_COUNT = 100
"""Pauses between successes that are remembered."""

PAUSE_MAX_INTERVALS = 3
"""A pause longer than so many intervals counts as this long: nobody asked, which says nothing about the backend."""


def phi_of(silence_s: float, mean_s: float) -> float:
    """The suspicion after a silence, for successes that came every `mean_s` on average."""
    return silence_s / mean_s * math.log10(math.e)


class PhiDetector:
    """One backend's successes. For one thread at a time; times are monotonic seconds.

    Only questions without an answer count as silence: a backend that nobody asks is under no suspicion, and neither is
    one whose asker was asleep.
    """

    def __init__(self, interval_s: float) -> None:
        """`interval_s` is how often it is asked: the least pause between two samples, and the least mean."""
        self._interval_s = interval_s
        self._pauses: deque[float] = deque(maxlen=WINDOW_COUNT)
        self._pauses_sum_s = 0.0
        self._sampled_at_s: float | None = None
        self._succeeded_at_s: float | None = None
        # The first question since the last success that has no answer, and the last one that was given up.
        self._silent_from_s: float | None = None
        self._silent_until_s = 0.0
        self._has_given_up = False
        self._is_asking = False

    @property
    def is_silent(self) -> bool:
        """Whether a question is open, or was given up since the last success."""
        return self._silent_from_s is not None

    def wants_sample(self, now_s: float) -> bool:
        return self._sampled_at_s is None or now_s - self._sampled_at_s >= self._interval_s

    def asked(self, now_s: float) -> None:
        """A question was put; until it is answered silence grows."""
        if self._silent_from_s is None:
            self._silent_from_s = now_s
        self._is_asking = True

    def failed(self, now_s: float) -> None:
        """A question was given up."""
        if self._silent_from_s is None:
            self._silent_from_s = now_s
        self._silent_until_s = now_s
        self._has_given_up = True
        self._is_asking = False

    def withdrew(self) -> None:
        """A question ended in a way that says nothing, as if it had not been put."""
        self._is_asking = False
        if not self._has_given_up:
            self._silent_from_s = None

    def succeeded(self, now_s: float) -> None:
        """A question was answered, this one or another."""
        if self.wants_sample(now_s):
            if self._sampled_at_s is not None:
                self._remember(now_s - self._sampled_at_s)
            self._sampled_at_s = now_s
        self._succeeded_at_s = now_s
        self._silent_from_s = None
        self._has_given_up = False
        self._is_asking = False

    def mean_s(self) -> float:
        """The mean pause between successes, never less than the interval."""
        if not self._pauses:
            return self._interval_s
        return max(self._interval_s, self._pauses_sum_s / len(self._pauses))

    def phi(self, now_s: float) -> float:
        """The suspicion now. Zero while every question has its answer."""
        if self._silent_from_s is None:
            return 0.0
        until_s = now_s if self._is_asking else self._silent_until_s
        # The silence began with the last success, but no more than one interval before a question showed it.
        from_s = self._silent_from_s - self._interval_s
        if self._succeeded_at_s is not None:
            from_s = max(from_s, self._succeeded_at_s)
        return phi_of(max(0.0, until_s - from_s), self.mean_s())

    def _remember(self, pause_s: float) -> None:
        pause_s = min(max(pause_s, self._interval_s), PAUSE_MAX_INTERVALS * self._interval_s)
        if len(self._pauses) == WINDOW_COUNT:
            self._pauses_sum_s -= self._pauses[0]
        self._pauses.append(pause_s)
        self._pauses_sum_s += pause_s
