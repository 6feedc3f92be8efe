"""The file of a form: a body that ends at a delimiter, searched for in every byte and known near the end only."""

from collections.abc import Callable

from dataplane.wire.bodies import Promise, RawBody
from dataplane.wire.form_parts import FILE_FIELD, delimiter_of, later_names
from dataplane.wire.refusals import IncompleteBody, InvalidArgument, MalformedPostRequest
from engine.streams import ExpectedDigests

AFTER_FILE_BYTES_MAX = 64 * 1024
"""What may follow a large file: its closing delimiter, and fields that count for nothing."""
HELD_BYTES_MAX = 1024 * 1024
"""A file that ends within so many bytes is held whole, and stored as one blob where the engine holds such bodies."""

_CLOSING_BYTES = 4
"""`--` before and behind the boundary of the shortest delimiter that closes a form."""


class FormFile:
    """Implements `engine.streams.OpenEndedBody` over the rest of a request.

    The file certainly holds what lies further than `AFTER_FILE_BYTES_MAX` from the request's end. A delimiter that
    shows up there is MalformedPostRequest: the form goes on for too long behind its file.
    """

    def __init__(
        self,
        raw: RawBody,
        boundary: bytes,
        *,
        begun: bytes,
        left_bytes: int,
        promise: Promise,
        check_size: Callable[[int], None],
    ) -> None:
        """`begun` was read already, `left_bytes` are to come. `check_size` refuses a size that nobody agreed to."""
        rest_bytes = len(begun) + left_bytes
        self.certain_bytes = 0 if rest_bytes <= HELD_BYTES_MAX else rest_bytes - AFTER_FILE_BYTES_MAX
        self.size_bytes = max(0, rest_bytes - len(boundary) - _CLOSING_BYTES - 2)
        self.plan = promise.plan
        self._raw = raw
        self._boundary = boundary
        self._delimiter = delimiter_of(boundary)
        self._begun = memoryview(begun)
        self._left_bytes = left_bytes
        self._certain_left_bytes = self.certain_bytes
        self._seen = b""
        self._rest: memoryview | None = None
        self._promise = promise
        self._check_size = check_size

    def readinto(self, buffer: memoryview, /) -> int:
        """What is certain, then nothing until `settle`, then what is left."""
        if self._rest is not None:
            count = min(len(buffer), len(self._rest))
            buffer[:count] = self._rest[:count]
            self._rest = self._rest[count:]
            return count
        room = buffer[: self._certain_left_bytes]
        count = self._read(room)
        self._certain_left_bytes -= count
        window = b"".join((self._seen, room[:count]))
        if self._delimiter in window:
            raise _too_much_follows()
        self._seen = window[1 - len(self._delimiter) :]
        return count

    def settle(self) -> int:
        assert self._certain_left_bytes == 0, "what is certain is read first"
        assert self._rest is None, "settled once"
        tail = bytearray(len(self._begun) + self._left_bytes)
        view, filled = memoryview(tail), 0
        while filled < len(tail):
            filled += self._read(view[filled:])
        window = b"".join((self._seen, tail))
        found = window.find(self._delimiter)
        if found < 0:
            raise MalformedPostRequest
        if found < len(self._seen):
            raise _too_much_follows()
        names = later_names(window[found + len(self._delimiter) :], self._boundary)
        if any(name.lower() == FILE_FIELD for name in names):
            raise InvalidArgument(
                "POST requires exactly one file upload per request.", name=FILE_FIELD, value=""
            )
        rest_bytes = found - len(self._seen)
        self.size_bytes = self.certain_bytes + rest_bytes
        self._check_size(self.size_bytes)
        self._rest = view[:rest_bytes]
        return rest_bytes

    def finish(self) -> ExpectedDigests:
        return self._promise.expected

    def _read(self, buffer: memoryview) -> int:
        if self._begun:
            count = min(len(buffer), len(self._begun))
            buffer[:count] = self._begun[:count]
            self._begun = self._begun[count:]
            return count
        count = self._raw.readinto(buffer[: self._left_bytes]) if len(buffer) else 0
        if count == 0 and len(buffer):
            raise IncompleteBody
        self._left_bytes -= count
        return count


def _too_much_follows() -> MalformedPostRequest:
    return MalformedPostRequest(
        f"More than {AFTER_FILE_BYTES_MAX} bytes follow the file; it must be the form's last field."
    )
