"""Keeps a few children running: starts them, starts dead ones again ever more slowly, and stops them in order."""

import signal
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from launcher.children import Child, ChildSpec, ending
from launcher.exit_status import ExitStatus
from launcher.readiness import Readiness

RESTART_FIRST_S = 0.1
RESTART_MAX_S = 10.0
STABLE_S = 10.0
"""A child that ran this long is started again at once, whatever went before."""

REFUSAL_S = 60.0
"""A child that says by then that it cannot run like this has never run; later it may have served before."""

POLL_S = 0.5
"""Longest time the loop waits without looking: no signal is lost, this only bounds what we did not think of."""

LOOK_S = 0.1
"""Pause between two looks whether what was started serves yet."""

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_HANDLED = _STOPPING | {signal.SIGCHLD, signal.SIGHUP}

Say = Callable[[str], None]


@dataclass(slots=True)
class _Place:
    """A child's place: there is a child in it, or a time at which there will be one."""

    spec: ChildSpec
    child: Child | None = None
    started_s: float = 0.0
    restart_at_s: float = 0.0
    pause_s: float = RESTART_FIRST_S
    has_run: bool = False
    """One in this place has run for some time: what keeps the next one from it may pass."""


class Supervisor:
    """Runs children until it is told to stop, or until one of them says that it cannot run like this.

    Children are started in the order given and stopped in the opposite one, each with its own deadline. SIGTERM and
    SIGINT stop; a second one does not wait any more. Must be made and run by the main thread of a process without
    other threads: signals are taken from the mask, one at a time, and children are forked.
    """

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        say: Say,
        readiness: Readiness | None = None,
        stops_on_hangup: bool = False,
    ) -> None:
        self._places = [_Place(spec=spec) for spec in specs]
        self._say = say
        self._readiness = readiness
        self._stopping = _STOPPING | {signal.SIGHUP} if stops_on_hangup else _STOPPING

    def run(self) -> int:
        """The exit status: OK after an orderly stop, FAILED when something had to be killed, CONFIG as a child said."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            return self._run()
        finally:
            for place in self._places:
                if place.child is not None:
                    place.child.clear()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _run(self) -> int:
        while True:
            now_s = time.monotonic()
            for place in self._places:
                if place.child is None and place.restart_at_s <= now_s:
                    place.started_s = now_s
                    place.child = Child(place.spec)
                    if self._readiness is not None:
                        self._readiness.expect()
            received = self._next_signal(self._wait_s(now_s))
            if received in self._stopping:
                self._say(f"{signal.Signals(received).name}: stopping")
                return self._stop(reversed(self._places))
            if received == signal.SIGHUP:
                self._say(
                    "SIGHUP: certificates are read anew when they change; "
                    "`adminctl config reload` puts the file in force"
                )
            refusing = self._replace_dead()
            if refusing is not None:
                self._say(f"{refusing.spec.name} cannot run like this; see what it said above")
                self._stop(place for place in reversed(self._places) if place is not refusing)
                return ExitStatus.CONFIG
            if self._readiness is not None and all(place.child is not None for place in self._places):
                self._readiness.look()

    def _wait_s(self, now_s: float) -> float:
        waits = [place.restart_at_s - now_s for place in self._places if place.child is None]
        is_awaited = self._readiness is not None and self._readiness.is_awaited
        return max(0.0, min([LOOK_S if is_awaited else POLL_S, *waits]))

    def _next_signal(self, timeout_s: float) -> int | None:
        received = signal.sigtimedwait(_HANDLED, timeout_s)
        return None if received is None else received.si_signo

    def _replace_dead(self) -> _Place | None:
        """See to the children that have ended; the place of one that must not be started again."""
        for place in self._places:
            status = None if place.child is None else place.child.poll()
            if place.child is None or status is None:
                continue
            place.child.clear()
            place.child = None
            now_s = time.monotonic()
            ran_s = now_s - place.started_s
            if ran_s >= STABLE_S:
                place.pause_s = RESTART_FIRST_S
            # A start that is refused may take its time on a busy machine.
            if ran_s >= (REFUSAL_S if status == ExitStatus.CONFIG else STABLE_S):
                place.has_run = True
            if status == ExitStatus.CONFIG and not place.has_run:
                return place
            place.restart_at_s = now_s + place.pause_s
            self._say(f"{place.spec.name} {ending(status)}; starting it again in {place.pause_s:g} s")
            place.pause_s = min(place.pause_s * 2, RESTART_MAX_S)
        return None

    def _stop(self, places: Iterable[_Place]) -> int:
        result = ExitStatus.OK
        is_hurried = False
        for place in places:
            if place.child is None:
                continue
            place.child.terminate()
            deadline_s = time.monotonic() + place.spec.stop_timeout_s
            while place.child.poll() is None and not is_hurried:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0:
                    self._say(
                        f"{place.spec.name} did not stop within {place.spec.stop_timeout_s:g} s; killing it"
                    )
                    break
                is_hurried = self._next_signal(min(left_s, POLL_S)) in self._stopping
            if place.child.poll() is None:
                result = ExitStatus.FAILED
            place.child.clear()
            place.child = None
        return result
