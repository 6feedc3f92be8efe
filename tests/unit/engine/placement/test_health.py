"""A backend that fails is left for last for a while, one that is silent loses trust; a foreign one is not touched."""

import pytest

from engine.placement.health import PROBE_EVERY_S, SHUN_FIRST_S, SHUN_MAX_S, Health, HealthBoard, HealthGate


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now_us(self) -> int:
        return int(self.seconds * 1_000_000)

    def monotonic_s(self) -> float:
        return self.seconds


def test_a_failure_degrades_and_time_or_success_clears() -> None:
    clock = HandClock()
    board = HealthBoard(clock)

    board.failed(1)
    assert (board.health_of(1), board.health_of(2)) == (Health.DEGRADED, Health.HEALTHY)
    clock.seconds += SHUN_FIRST_S
    assert board.health_of(1) is Health.HEALTHY

    board.failed(1)
    board.succeeded(1)
    assert board.health_of(1) is Health.HEALTHY


def test_further_failures_double_the_pause_up_to_its_bound() -> None:
    clock = HandClock()
    board = HealthBoard(clock)

    for _ in range(3):
        board.failed(1)
    clock.seconds += 3.9 * SHUN_FIRST_S
    assert board.health_of(1) is Health.DEGRADED

    for _ in range(30):
        board.failed(1)
    clock.seconds += SHUN_MAX_S
    assert board.health_of(1) is Health.HEALTHY


def test_a_condemned_backend_stays_failed_whatever_succeeds() -> None:
    board = HealthBoard(HandClock())

    board.condemn(1, "the identity object is missing")
    board.succeeded(1)

    assert board.health_of(1) is Health.FAILED
    assert board.problem_of(1) == "the identity object is missing"


def test_a_reset_forgets_what_was_held_but_for_a_wrong_identity() -> None:
    clock = HandClock()
    board = HealthBoard(clock)
    gate = board.gate_of(1)
    board.condemn(2, "the identity object is missing")
    for _ in range(3):
        entered = gate.enter(is_probe=False)
        assert entered is not None
        gate.failed(entered)
    assert gate.enter(is_probe=False) is None
    assert board.health_of(1) is Health.SUSPECTED

    board.reset(1)
    board.reset(2)
    board.reset(3)

    assert board.health_of(1) is Health.HEALTHY
    assert gate.enter(is_probe=False) is not None
    assert board.has_gate(1)
    assert board.health_of(2) is Health.FAILED


def silent(board: HealthBoard, clock: HandClock, seconds: float) -> None:
    """Looks that find nobody, for so long."""
    for _ in range(int(seconds / PROBE_EVERY_S)):
        clock.seconds += PROBE_EVERY_S
        board.asked(1)
        board.failed(1)


@pytest.mark.parametrize(
    ("silence_s", "health"),
    [(90, Health.DEGRADED), (100, Health.SUSPECTED), (180, Health.SUSPECTED), (190, Health.FAILED)],
)
def test_silence_takes_trust_away_by_degrees(silence_s: float, health: Health) -> None:
    clock = HandClock()
    board = HealthBoard(clock)
    board.answered(1)

    silent(board, clock, silence_s)

    assert board.health_of(1) is health
    assert board.problem_of(1) is None


def test_a_look_that_never_ends_is_silence_too() -> None:
    clock = HandClock()
    board = HealthBoard(clock)
    board.asked(1)

    clock.seconds += 200

    assert board.health_of(1) is Health.FAILED


def test_nobody_asked_is_no_silence() -> None:
    clock = HandClock()
    board = HealthBoard(clock)
    board.answered(1)

    clock.seconds += 100_000

    assert board.health_of(1) is Health.HEALTHY
    assert board.view_of(1).phi == 0


def test_trust_comes_back_after_several_successes_and_a_failure_starts_them_anew() -> None:
    clock = HandClock()
    board = HealthBoard(clock)
    silent(board, clock, 300)
    seen = []

    for went_well in (True, True, False, True, True, True):
        clock.seconds += 2
        (board.answered if went_well else board.failed)(1)
        seen.append(board.health_of(1))

    clock.seconds += SHUN_MAX_S
    assert seen[:5] == [Health.FAILED] * 5
    assert board.health_of(1) is Health.HEALTHY
    assert not HealthBoard(clock).is_troubled(1)


def trip(gate: HealthGate) -> None:
    while (entered := gate.enter(is_probe=False)) is not None:
        gate.failed(entered)


def test_an_open_breaker_takes_no_new_pieces_until_probes_went_well_several_times() -> None:
    clock = HandClock()
    board = HealthBoard(clock, draw=lambda: 0.5)
    gate = board.gate_of(1)
    trip(gate)
    before = board.view_of(1)
    seen = []

    for _ in range(3):
        clock.seconds += 2
        entered = gate.enter(is_probe=True)
        assert entered is not None
        gate.succeeded(entered)
        seen.append(board.health_of(1))

    assert before.breaker is not None
    assert (before.health, before.breaker.value) == (Health.SUSPECTED, "open")
    assert seen == [Health.SUSPECTED, Health.SUSPECTED, Health.HEALTHY]


def test_a_probe_that_says_nothing_is_no_silence() -> None:
    clock = HandClock()
    board = HealthBoard(clock)
    gate = board.gate_of(1)
    entered = gate.enter(is_probe=True)
    assert entered is not None

    gate.left(entered)
    clock.seconds += 1000

    assert board.health_of(1) is Health.HEALTHY


def test_the_forgiven_begin_anew() -> None:
    clock = HandClock()
    board = HealthBoard(clock)
    gate = board.gate_of(1)
    trip(gate)
    board.condemn(1, "the identity object is missing")

    board.forgive(1)

    assert board.health_of(1) is Health.HEALTHY
    assert gate.enter(is_probe=False) is not None


def test_a_store_that_was_away_for_long_is_trusted_again_within_half_a_minute() -> None:
    clock = HandClock()
    board = HealthBoard(clock, lambda: 1.0)
    gate = board.gate_of(1)
    look_s = 2.0

    def look(*, answers: bool) -> None:
        clock.seconds += look_s
        entered = gate.enter(is_probe=True)
        if entered is not None:
            (gate.succeeded if answers else gate.failed)(entered)

    for _ in range(1000):
        look(answers=False)
    assert board.health_of(1) is Health.FAILED
    came_back_s = clock.seconds
    while board.health_of(1) is not Health.HEALTHY:
        look(answers=True)

    assert clock.seconds - came_back_s < 30
