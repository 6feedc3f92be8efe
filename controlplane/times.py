"""The engine's microseconds and seconds as protobuf's times."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from engine.errors import MalformedField

_SECONDS_MAX = 253_402_300_800
"""The end of the year 9999, the last one of a timestamp."""


def timestamp(time_us: int | None) -> Timestamp | None:
    """Null stays unset."""
    if time_us is None:
        return None
    seconds, micros = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def duration(seconds: float) -> Duration:
    whole = int(seconds)
    return Duration(seconds=whole, nanos=int((seconds - whole) * 1e9))


def read_timestamp(field: str, moment: Timestamp) -> int:
    """Microseconds; raises MalformedField for what lies outside the years that can be told."""
    if not 0 < moment.seconds < _SECONDS_MAX or not 0 <= moment.nanos < 1_000_000_000:
        raise MalformedField(field, "a time lies between 1970 and 9999")
    return moment.seconds * 1_000_000 + moment.nanos // 1000
