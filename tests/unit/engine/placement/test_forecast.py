"""A forecast goes by how it grew, lately most of all, and foretells nothing where that says nothing."""

from engine.placement.forecast import HALF_LIFE_US, Growth, reached_us

DAY_US = 86_400 * 1_000_000


def grown(amount: int, from_day: float, to_day: float) -> Growth:
    return Growth(amount=amount, starts_us=int(from_day * DAY_US), ends_us=int(to_day * DAY_US))


def test_half_of_a_limit_used_in_ten_days_leaves_ten_more() -> None:
    assert reached_us(used=50, limit=100, growths=[grown(50, 0, 10)], now_us=10 * DAY_US) == 20 * DAY_US


def test_what_grows_evenly_is_foretold_the_same_in_one_span_or_in_many() -> None:
    days = [grown(5, day, day + 1) for day in range(10)]

    assert reached_us(used=50, limit=100, growths=days, now_us=10 * DAY_US) == 20 * DAY_US


def test_what_was_a_half_life_ago_counts_half() -> None:
    half_life_days = HALF_LIFE_US / DAY_US
    spans = [grown(20, 0, 1), grown(5, half_life_days, 1 + half_life_days)]

    reached = reached_us(used=25, limit=35, growths=spans, now_us=int((1 + half_life_days) * DAY_US))

    # (20 / 2 + 5) over (1 / 2 + 1) days: 10 a day.
    assert reached == int((2 + half_life_days) * DAY_US)


def test_a_day_without_use_puts_it_off() -> None:
    busy = reached_us(used=50, limit=100, growths=[grown(50, 0, 5)], now_us=5 * DAY_US)
    then_idle = reached_us(used=50, limit=100, growths=[grown(50, 0, 5), grown(0, 5, 6)], now_us=6 * DAY_US)

    assert busy is not None
    assert then_idle is not None
    assert then_idle > busy + DAY_US


def test_a_limit_that_is_reached_is_reached_now() -> None:
    assert reached_us(used=100, limit=100, growths=[], now_us=DAY_US) == DAY_US
    assert reached_us(used=0, limit=0, growths=[], now_us=DAY_US) == DAY_US


def test_what_does_not_grow_or_only_just_began_or_takes_ages_is_not_foretold() -> None:
    assert reached_us(used=0, limit=100, growths=[grown(0, 0, 1)], now_us=DAY_US) is None
    assert reached_us(used=5, limit=100, growths=[grown(-5, 0, 1)], now_us=DAY_US) is None
    assert reached_us(used=5, limit=100, growths=[grown(5, 1, 1.01)], now_us=2 * DAY_US) is None
    assert reached_us(used=1, limit=10**15, growths=[grown(1, 0, 1)], now_us=DAY_US) is None
