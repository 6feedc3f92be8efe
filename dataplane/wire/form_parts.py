"""multipart/form-data off the wire (RFC 7578): the fields before the file, each whole, and where the file begins.

Pure and bounded: `HEAD_BYTES_MAX` of the body are looked at before the file begins, and no more is ever held for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dataplane.wire.refusals import (
    IncompleteBody,
    InvalidArgument,
    MalformedPostRequest,
    MaxPostPreDataLengthExceeded,
)

HEAD_BYTES_MAX = 20 * 1024
"""Everything before the file's first byte (S3 API, POST object): a thousand parts do not even fit."""
BOUNDARY_CHARS_MAX = 70
"""RFC 2046, section 5.1.1."""

FORM_TYPE = "multipart/form-data"
FILE_FIELD = "file"

_BOUNDARY_CHARS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'()+_,-./:=? ")
_READ_BYTES = 4096
_ENCODINGS = frozenset({"7bit", "8bit", "binary"})
_BLANKS = " \t"


class FormBytes(Protocol):
    """A request's body off the wire; `readinto` returns 0 at its end, also at one that comes too early."""

    def readinto(self, buffer: memoryview, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FormHead:
    """What came before the file: names and values in order, and the file's own name, empty when it has none.

    `begun` are bytes of the file, or of what follows it, that were read along; `taken_bytes` counts all read so far.
    """

    fields: tuple[tuple[str, str], ...]
    file_name: str
    begun: bytes
    taken_bytes: int


def is_form_type(content_type: str) -> bool:
    return content_type.partition(";")[0].strip(_BLANKS).lower() == FORM_TYPE


def read_boundary(content_type: str) -> bytes:
    """The delimiter's own part of a Content-Type; raises MalformedPostRequest without one that RFC 2046 allows."""
    boundary = _parameters(content_type, kind=FORM_TYPE).get("boundary", "")
    is_legal = 0 < len(boundary) <= BOUNDARY_CHARS_MAX and not boundary.endswith(" ")
    if not is_legal or not _BOUNDARY_CHARS.issuperset(boundary):
        raise MalformedPostRequest
    return boundary.encode("ascii")


def delimiter_of(boundary: bytes) -> bytes:
    """What ends each part."""
    return b"\r\n--" + boundary


def read_form_head(raw: FormBytes, boundary: bytes) -> FormHead:
    """Read up to the file's first byte.

    Raises MaxPostPreDataLengthExceeded, MalformedPostRequest for what is no form, InvalidArgument for one without a
    file, IncompleteBody for one that the wire cut short.
    """
    return _HeadReader(raw, delimiter_of(boundary)).read()


def later_names(rest: bytes, boundary: bytes) -> list[str]:
    """Names of the parts behind the file, which count for nothing; `rest` begins right behind the file's delimiter.

    Raises MalformedPostRequest when that was no delimiter. A part that is cut short ends the list.
    """
    delimiter, names = delimiter_of(boundary), []
    while rest[:2] != b"--":
        if rest[:2] != b"\r\n":
            raise MalformedPostRequest
        block, found, rest = rest[2:].partition(b"\r\n\r\n")
        if not found:
            break
        names.append(_disposition(block)["name"])
        _, found, rest = rest.partition(delimiter)
        if not found:
            break
    return names


class _HeadReader:
    """Looks for one thing after the other in what has come, and reads on when it is not there."""

    def __init__(self, raw: FormBytes, delimiter: bytes) -> None:
        self._raw = raw
        self._delimiter = delimiter
        # As if a line ended before the body: the first delimiter is like all others then.
        self._held = bytearray(b"\r\n")

    def read(self) -> FormHead:
        fields: list[tuple[str, str]] = []
        place = len(self._delimiter)
        self._require(place)
        if not self._held.startswith(self._delimiter):
            raise MalformedPostRequest
        while True:
            self._require(place + 2)
            if self._held[place : place + 2] == b"--":
                raise InvalidArgument(
                    "POST requires exactly one file upload per request.", name=FILE_FIELD, value=""
                )
            if self._held[place : place + 2] != b"\r\n":
                raise MalformedPostRequest
            stop = self._find(b"\r\n\r\n", place)
            parameters = _disposition(bytes(self._held[place + 2 : stop]))
            start, name = stop + 4, parameters["name"]
            if name.lower() == FILE_FIELD:
                return FormHead(
                    fields=tuple(fields),
                    file_name=parameters.get("filename", ""),
                    begun=bytes(self._held[start:]),
                    taken_bytes=len(self._held) - 2,
                )
            stop = self._find(self._delimiter, start)
            fields.append((name, _text(bytes(self._held[start:stop]))))
            place = stop + len(self._delimiter)

    def _find(self, wanted: bytes, start: int) -> int:
        looked_at = start
        while (found := self._held.find(wanted, looked_at)) < 0:
            looked_at = max(start, len(self._held) - len(wanted) + 1)
            self._read_on()
        return found

    def _require(self, stop: int) -> None:
        while len(self._held) < stop:
            self._read_on()

    def _read_on(self) -> None:
        room = HEAD_BYTES_MAX + 2 - len(self._held)
        if room <= 0:
            raise MaxPostPreDataLengthExceeded
        piece = bytearray(min(room, _READ_BYTES))
        count = self._raw.readinto(memoryview(piece))
        if count == 0:
            raise IncompleteBody
        self._held += piece[:count]


def _disposition(block: bytes) -> Mapping[str, str]:
    """The parameters of a part's Content-Disposition, `name` among them; raises MalformedPostRequest."""
    found: dict[str, str] | None = None
    for line in _text(block).split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon or not name or name.strip(_BLANKS) != name or "\n" in line or "\r" in line:
            raise MalformedPostRequest
        if name.lower() == "content-disposition":
            if found is not None:
                raise MalformedPostRequest
            found = _parameters(value, kind="form-data")
        elif name.lower() == "content-transfer-encoding" and value.strip(_BLANKS).lower() not in _ENCODINGS:
            raise MalformedPostRequest
    if not found or not found.get("name"):
        raise MalformedPostRequest
    return found


def _parameters(text: str, *, kind: str) -> dict[str, str]:
    """`kind; name="value"; name=value`; raises MalformedPostRequest for anything else, and for a name given twice."""
    found: dict[str, str] = {}
    given, _, rest = text.partition(";")
    if given.strip(_BLANKS).lower() != kind:
        raise MalformedPostRequest
    while rest := rest.strip(_BLANKS):
        name, equals, rest = rest.partition("=")
        name = name.strip(_BLANKS).lower()
        if not equals or not name or name in found:
            raise MalformedPostRequest
        found[name], rest = _value(rest.lstrip(_BLANKS))
    return found


def _value(text: str) -> tuple[str, str]:
    """A value and what follows it. In quotes only `\\"` is an escape: Windows' paths come with bare backslashes."""
    if not text.startswith('"'):
        value, _, rest = text.partition(";")
        return value.strip(_BLANKS), rest
    stop = text.find('"', 1)
    while stop > 0 and text[stop - 1] == "\\":
        stop = text.find('"', stop + 1)
    rest = text[stop + 1 :].lstrip(_BLANKS)
    if stop < 0 or (rest and not rest.startswith(";")):
        raise MalformedPostRequest
    return text[1:stop].replace('\\"', '"'), rest[1:]


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedPostRequest from error
