"""A backend that fails is left for last for a while; one with a foreign identity is not touched."""

from engine.placement.health import SUSPECT_FIRST_S, SUSPECT_MAX_S, Health, HealthBoard


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now_us(self) -> int:
        return int(self.seconds * 1_000_000)

    def monotonic_s(self) -> float:
        return self.seconds


def test_a_failure_suspects_and_time_or_success_clears() -> None:
    clock = HandClock()
    board = HealthBoard(clock)

    board.failed(1)
    assert (board.health_of(1), board.health_of(2)) == (Health.SUSPECTED, Health.HEALTHY)
    clock.seconds += SUSPECT_FIRST_S
    assert board.health_of(1) is Health.HEALTHY

    board.failed(1)
    board.succeeded(1)
    assert board.health_of(1) is Health.HEALTHY


def test_further_failures_double_the_pause_up_to_its_bound() -> None:
    clock = HandClock()
    board = HealthBoard(clock)

    for _ in range(3):
        board.failed(1)
    clock.seconds += 3.9 * SUSPECT_FIRST_S
    assert board.health_of(1) is Health.SUSPECTED

    for _ in range(30):
        board.failed(1)
    clock.seconds += SUSPECT_MAX_S
    assert board.health_of(1) is Health.HEALTHY


def test_a_condemned_backend_stays_failed_whatever_succeeds() -> None:
    board = HealthBoard(HandClock())

    board.condemn(1, "the identity object is missing")
    board.succeeded(1)

    assert board.health_of(1) is Health.FAILED
    assert board.problem_of(1) == "the identity object is missing"
