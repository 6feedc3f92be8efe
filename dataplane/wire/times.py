"""Times as S3 writes them: ISO 8601 in documents and signatures, HTTP dates in headers."""

import calendar
import re
from datetime import UTC, datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = r"([0-2][0-9]):([0-5][0-9]):([0-6][0-9])"
# The three forms of RFC 9110, section 5.6.7: IMF-fixdate, RFC 850 and asctime; the zone is GMT in all of them.
_IMF = re.compile(
    rf"[A-Z][a-z]{{2}}, ([0-9]{{2}}) ([A-Z][a-z]{{2}}) ([0-9]{{4}}) {_CLOCK} (?:GMT|UTC|\+0000)"
)
_RFC850 = re.compile(rf"[A-Z][a-z]+day, ([0-9]{{2}})-([A-Z][a-z]{{2}})-([0-9]{{2}}) {_CLOCK} GMT")
_ISO = re.compile(rf"([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})T{_CLOCK}(?:\.([0-9]{{1,9}}))?(?:Z|\+00:00)")
_ASCTIME = re.compile(rf"[A-Z][a-z]{{2}} ([A-Z][a-z]{{2}}) ([ 0-9][0-9]) {_CLOCK} ([0-9]{{4}})")

REMEMBERED_SECONDS_MAX = 1024
"""Formatted seconds kept; pages of listings and bursts of signatures repeat them."""


def iso_time(time_us: int) -> str:
    """`2026-11-24T16:16:41.123Z`, as in documents."""
    seconds, rest_us = divmod(time_us, 1_000_000)
    return f"{_iso_second(seconds)}.{rest_us // 1000:03d}Z"


@lru_cache(maxsize=REMEMBERED_SECONDS_MAX)
def http_date(seconds: int) -> str:
    """`Tue, 24 Nov 2026 16:16:41 GMT`, as in Last-Modified."""
    t = datetime.fromtimestamp(seconds, UTC)
    return (
        f"{_DAYS[t.weekday()]}, {t.day:02d} {_MONTHS[t.month - 1]} {t.year:04d} "
        f"{t.hour:02d}:{t.minute:02d}:{t.second:02d} GMT"
    )


def parse_http_date(text: str) -> int | None:
    """Seconds since the epoch; None for what is no HTTP date, which most headers ask to ignore."""
    if found := _IMF.fullmatch(text):
        day, month, year, hour, minute, second = found.groups()
    elif found := _RFC850.fullmatch(text):
        day, month, short_year, hour, minute, second = found.groups()
        year = ("19" if short_year >= "70" else "20") + short_year
    elif found := _ASCTIME.fullmatch(text):
        month, day, hour, minute, second, year = found.groups()
    else:
        return None
    if month not in _MONTHS:
        return None
    return _epoch_s(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))


def parse_time_ms(text: str) -> int | None:
    """Milliseconds since the epoch of an HTTP date or of a time as documents show it; None for anything else."""
    found = _ISO.fullmatch(text)
    if found is None:
        seconds = parse_http_date(text)
        return None if seconds is None else seconds * 1000
    *numbers, fraction = found.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    seconds = _epoch_s(year, month, day, hour, minute, second)
    return None if seconds is None else seconds * 1000 + int(((fraction or "") + "000")[:3])


@lru_cache(maxsize=REMEMBERED_SECONDS_MAX)
def parse_amz_date(text: str) -> int | None:
    """Seconds since the epoch of `20261124T161641Z`; None for anything else."""
    # Short, so that what is remembered takes little; many requests are signed in one second.
    return _amz_second(text) if len(text) == 16 else None


@lru_cache(maxsize=REMEMBERED_SECONDS_MAX)
def _amz_second(text: str) -> int | None:
    if text[8] != "T" or text[15] != "Z":
        return None
    digits = text[:8] + text[9:15]
    if not (digits.isascii() and digits.isdigit()):
        return None
    return _epoch_s(
        int(digits[:4]),
        int(digits[4:6]),
        int(digits[6:8]),
        int(digits[8:10]),
        int(digits[10:12]),
        int(digits[12:14]),
    )


def amz_date(seconds: int) -> str:
    """`20261124T161641Z`, as signatures name a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


@lru_cache(maxsize=REMEMBERED_SECONDS_MAX)
def _iso_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _epoch_s(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int | None:
    try:
        # A leap second is the second after it, as everywhere in POSIX time.
        whole = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return calendar.timegm(whole.timetuple()) + max(0, second - 59)
