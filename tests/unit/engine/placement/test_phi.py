"""Suspicion grows with silence by the published formula, and only while somebody asks."""

import pytest

from engine.placement.phi import PAUSE_MAX_INTERVALS, WINDOW_COUNT, PhiDetector, phi_of

INTERVAL_S = 10.0


@pytest.mark.parametrize(
    ("silence_s", "mean_s", "phi"),
    [
        (0, 10, 0.0),
        (10, 10, 0.4342944819),
        (23.0258509299, 10, 1.0),
        (92.1034037198, 10, 4.0),
        (184.2068074395, 10, 8.0),
        (100, 25, 1.7371779276),
    ],
)
def test_golden_values(silence_s: float, mean_s: float, phi: float) -> None:
    assert phi_of(silence_s, mean_s) == pytest.approx(phi, abs=1e-9)


def detector_after(*success_times_s: float) -> PhiDetector:
    detector = PhiDetector(INTERVAL_S)
    for at_s in success_times_s:
        detector.succeeded(at_s)
    return detector


def test_silence_counts_from_the_last_success_once_a_question_shows_it() -> None:
    detector = detector_after(0, 10, 20)
    detector.asked(30)

    assert detector.phi(43) == pytest.approx(phi_of(23, 10))


def test_what_was_given_up_counts_until_then_and_no_longer() -> None:
    detector = detector_after(0, 10)
    detector.asked(20)
    detector.failed(30)

    assert detector.phi(30) == pytest.approx(phi_of(20, 10))
    assert detector.phi(10_000) == detector.phi(30)


def test_a_question_after_a_long_rest_does_not_count_the_rest() -> None:
    detector = detector_after(0)
    detector.asked(5_000)
    detector.failed(5_010)

    assert detector.phi(5_010) == pytest.approx(phi_of(20, 10))


def test_one_success_ends_the_silence() -> None:
    detector = detector_after(0)
    detector.asked(10)
    detector.failed(100)

    detector.succeeded(101)

    assert detector.phi(500) == 0
    assert not detector.is_silent


def test_one_sample_an_interval_and_never_a_mean_below_it() -> None:
    detector = detector_after(*(step / 10 for step in range(1000)))

    assert detector.mean_s() == pytest.approx(INTERVAL_S, rel=0.02)


def test_the_mean_is_that_of_the_last_pauses_and_rests_count_no_more_than_a_bound() -> None:
    slow = [20.0 * step for step in range(WINDOW_COUNT)]
    detector = detector_after(*slow)
    assert detector.mean_s() == pytest.approx(20)

    for step in range(1, WINDOW_COUNT + 1):
        detector.succeeded(slow[-1] + 1_000.0 * step)

    assert detector.mean_s() == pytest.approx(PAUSE_MAX_INTERVALS * INTERVAL_S)
