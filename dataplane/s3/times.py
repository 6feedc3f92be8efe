"""Times as S3 writes them: RFC 9110 dates in headers, ISO 8601 with milliseconds in documents."""

import calendar
import time
from email.utils import parsedate_to_datetime
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=1024)
def _http_date(second: int) -> str:
    at = time.gmtime(second)
    return (
        f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} "
        f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02} GMT"
    )


def http_date(time_us: int) -> str:
    """`Tue, 24 Nov 2026 15:04:29 GMT`."""
    return _http_date(time_us // 1_000_000)


def iso_time(time_us: int) -> str:
    """`2026-11-24T15:04:29.123Z`."""
    second, micros = divmod(time_us, 1_000_000)
    return f"{_iso_second(second)}.{micros // 1000:03}Z"


@lru_cache(maxsize=1024)
def _iso_second(second: int) -> str:
    at = time.gmtime(second)
    return f"{at.tm_year:04}-{at.tm_mon:02}-{at.tm_mday:02}T{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"


def read_http_date(text: str) -> int | None:
    """Seconds since the epoch; null for what is no date."""
    try:
        return int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def read_amz_date(text: str) -> int | None:
    """Seconds of `20261124T150429Z`; null for anything else."""
    if len(text) != 16 or text[8] != "T" or text[15] != "Z":
        return None
    digits = text[:8] + text[9:15]
    if not digits.isascii() or not digits.isdigit():
        return None
    try:
        return calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S"))
    except ValueError:
        return None
