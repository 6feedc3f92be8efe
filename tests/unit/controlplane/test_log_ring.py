"""The newest lines are kept, the oldest make room, and who does not keep up learns what it missed."""

from controlplane.telling.log_ring import LogRing
from engine.telling.lines import LogLine, plain_line


def line(event: str) -> LogLine:
    return plain_line(logger="l", process="dataplane", pid=1, event=event, fields={})


def test_the_oldest_lines_make_room() -> None:
    ring = LogRing(line_count_max=3)
    for number in range(5):
        ring.append(line(str(number)))

    found, missed_count = ring.read(0, count_max=10)

    assert [each.event for each in found] == ["2", "3", "4"]
    assert missed_count == 2
    assert ring.end == 5


def test_reading_goes_on_where_it_ended() -> None:
    ring = LogRing()
    for number in range(5):
        ring.append(line(str(number)))

    found, missed_count = ring.read(3, count_max=1)

    assert ([each.event for each in found], missed_count) == (["3"], 0)
    assert ring.read(5, count_max=1) == ([], 0)


def test_long_lines_count_for_more() -> None:
    ring = LogRing(bytes_max=100_000)
    for _ in range(1000):
        ring.append(line("x" * 1000))

    found, _ = ring.read(0, count_max=1000)
    assert 50 < len(found) < 100
