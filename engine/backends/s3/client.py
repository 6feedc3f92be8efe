"""Requests to one store over its pool: signed, sent, answered; what fails is told as trouble, nothing else."""

import ssl
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from xml.etree import ElementTree

from engine.backends.s3.connection import BadAnswer, Buffer, Connection, Head, connect
from engine.backends.s3.credentials import FoundKeys, KeySource, given_keys
from engine.backends.s3.place import S3Place
from engine.backends.s3.pool import CONNECTION_COUNT_MAX, FRESH_MAX_S, ConnectionPool
from engine.backends.s3.signing import EMPTY_SHA256, Pairs, Signer, written_query
from engine.backends.s3.trouble import NoAnswer, NotSent, Refused
from engine.clock import Clock
from engine.pipes import Pipe
from engine.records import UsageKind
from engine.streams import PipeRegion, region_bytes
from engine.units import KIB, MIB

ERROR_BYTES_MAX = 64 * KIB
"""Most of an error's body that is looked at."""

DRAIN_BYTES_MAX = 64 * KIB
"""What is left of a body up to this is read, so that its connection can be used again."""

DOCUMENT_BYTES_MAX = MIB

DOCUMENT_TIMEOUT_S = 60.0
"""What is read to be understood as a whole, an error or a listing, is there within this."""

DRAIN_TIMEOUT_S = 1.0
"""The rest of a body that nobody wants is waited for so long, for the sake of its connection."""

BeforeRequest = Callable[[UsageKind], None]
"""Told of every request before it is sent, by its class; what it raises keeps the request from being sent."""


def not_counted(kind: UsageKind) -> None:
    """Requests nobody keeps an account of."""


class Answer:
    """An answer whose body is read by its owner, who closes it. For one thread at a time."""

    def __init__(self, head: Head, connection: Connection, pool: ConnectionPool, *, has_body: bool) -> None:
        self.status = head.status
        self.headers = head.headers
        self._head = head
        self._pool = pool
        self._connection: Connection | None = connection
        self._is_chunked = "chunked" in head.headers.get("transfer-encoding", "").lower()
        self._left_bytes: int | None = None
        if not has_body:
            self._is_chunked, self._left_bytes = False, 0
        elif self._is_chunked:
            self._left_bytes = 0
            self._has_more_chunks = True
        elif "content-length" in head.headers:
            self._left_bytes = _whole_number(head.headers["content-length"])

    @property
    def left_bytes(self) -> int | None:
        """Bytes of the body still to be read; null where only its end will tell."""
        return None if self._is_chunked else self._left_bytes

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer, or less at the body's end. Raises NoAnswer when the body is cut short."""
        connection = self._connection
        if connection is None:
            raise NoAnswer("the answer was given up")
        try:
            return (
                self._read_chunks(connection, buffer)
                if self._is_chunked
                else self._read_plain(connection, buffer)
            )
        except (OSError, EOFError, BadAnswer) as error:
            is_late = isinstance(error, TimeoutError)
            raise NoAnswer(f"the answer is cut short: {_why(error)}", is_late=is_late) from error

    def take(self, bytes_max: int, pipe: Pipe) -> PipeRegion | memoryview | None:
        """What comes next of the body, at least a byte, unread by anybody; null where it has to be read.

        Raises NoAnswer when the body is cut short, but not before all that came of it was taken.
        """
        connection, left_bytes = self._connection, self.left_bytes
        if connection is None:
            raise NoAnswer("the answer was given up")
        if left_bytes is None or not connection.can_splice:
            return None
        if left_bytes == 0:
            raise NoAnswer("the answer is shorter than it said")
        try:
            region = connection.take(min(bytes_max, left_bytes), pipe)
        except (OSError, EOFError) as error:
            is_late = isinstance(error, TimeoutError)
            raise NoAnswer(f"the answer is cut short: {_why(error)}", is_late=is_late) from error
        self._left_bytes = left_bytes - region_bytes(region)
        return region

    def read_all(self, bytes_max: int) -> bytes:
        """The rest of the body, or what of it lies within the bound. Raises NoAnswer as `read_into`."""
        buffer = bytearray(bytes_max if self.left_bytes is None else min(bytes_max, self.left_bytes))
        with self._ending_within(DOCUMENT_TIMEOUT_S):
            return bytes(memoryview(buffer)[: self.read_into(memoryview(buffer))])

    def close(self) -> None:
        """Give the connection back, or drop it where too much is left to read. A second call does nothing."""
        connection = self._connection
        if connection is None:
            return
        is_over = False
        try:
            if self._head.keeps_alive and (self._left_bytes or 0) <= DRAIN_BYTES_MAX:
                rest = memoryview(bytearray(DRAIN_BYTES_MAX + 1))
                with self._ending_within(DRAIN_TIMEOUT_S):
                    is_over = self.read_into(rest) <= DRAIN_BYTES_MAX and self._left_bytes is not None
        except NoAnswer:
            pass
        self._connection = None
        if is_over:
            self._pool.give_back(connection)
        else:
            self._pool.drop(connection)

    def give_up(self) -> None:
        """Drop the connection whatever is left. A second call does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.drop(connection)

    def _ending_within(self, within_s: float) -> AbstractContextManager[None]:
        return nullcontext() if self._connection is None else self._connection.ends_within(within_s)

    def _read_plain(self, connection: Connection, buffer: memoryview) -> int:
        left_bytes = self._left_bytes
        if left_bytes is None:
            return connection.read_into(buffer)
        wanted = buffer[:left_bytes]
        count = connection.read_into(wanted) if wanted else 0
        if count < len(wanted):
            raise EOFError("the connection ended")
        self._left_bytes = left_bytes - count
        return count

    def _read_chunks(self, connection: Connection, buffer: memoryview) -> int:
        count = 0
        while count < len(buffer) and self._has_more_chunks:
            if not self._left_bytes:
                self._left_bytes = _chunk_size(connection.read_line())
                if self._left_bytes == 0:
                    self._has_more_chunks = False
                    connection.pass_trailers()
                    break
            count += self._read_plain(connection, buffer[count:])
            if self._left_bytes == 0 and connection.read_line():
                raise BadAnswer("a chunk longer than it says")
        return count


class Upload:
    """A PUT whose body is sent part by part. `finish` or `abort` ends it. For one thread at a time."""

    def __init__(
        self, connection: Connection, pool: ConnectionPool, *, patience_s: float | None = None
    ) -> None:
        """With `patience_s` no wait of it is longer."""
        self._connection: Connection | None = connection
        self._pool = pool
        self._patience_s = patience_s

    def send(self, parts: Sequence[Buffer]) -> None:
        """Send more of the body. Raises NotSent, or Refused when the store has refused it already."""
        connection = self._connection
        if connection is None:
            raise NotSent("the upload has ended")
        try:
            if connection.answers_early():
                raise BrokenPipeError("an answer came before the body was sent")
            connection.send(parts, patience_s=self._patience_s)
        except OSError as error:
            is_late = isinstance(error, TimeoutError)
            raise self._refusal() or NotSent(f"sending broke off: {_why(error)}", is_late=is_late) from error

    def finish(self, parts: Sequence[Buffer]) -> Answer:
        """Send the end of the body; the answer, which is good. Raises NotSent, NoAnswer, Refused."""
        self.send(parts)
        connection, self._connection = self._connection, None
        assert connection is not None
        return _good(_answer(connection, self._pool, method="PUT", patience_s=self._patience_s))

    def abort(self) -> None:
        """Break it off: a body shorter than was declared is no object. Never raises; a second call does nothing."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.drop(connection)

    def _refusal(self) -> Refused | None:
        """Why the store stopped listening, if it said so."""
        connection, self._connection = self._connection, None
        if connection is None:
            return None
        try:
            answer = _answer(connection, self._pool, method="PUT")
        except (NotSent, NoAnswer):
            return None
        try:
            return _refusal_of(answer)
        finally:
            answer.give_up()


class S3Client:
    """Safe for many threads; makes its first connection at the first request."""

    def __init__(
        self,
        place: S3Place,
        *,
        clock: Clock,
        before_request: BeforeRequest = not_counted,
        connection_count_max: int = CONNECTION_COUNT_MAX,
    ) -> None:
        self._place = place
        self._before_request = before_request
        keys: KeySource = FoundKeys(place.profile)
        if place.access_key_id is not None and place.secret_access_key is not None:
            keys = given_keys(place.access_key_id, place.secret_access_key)
        self._signer = Signer(region=place.region, keys=keys, clock=clock)
        self._tls: ssl.SSLContext | None = None
        self.pool = ConnectionPool(
            self._dial, count_max=connection_count_max, where="{}:{}".format(*place.address)
        )

    def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Pairs = (),
        headers: Pairs = (),
        body: Sequence[Buffer] = (),
        payload: str = EMPTY_SHA256,
        patience_s: float | None = None,
    ) -> Answer:
        """Send a request that may be repeated; its answer, which is good. Raises NoKeys, NotSent, NoAnswer, Refused.

        It is repeated once, where a kept connection turns out to be closed by the other side. With `patience_s` no wait
        of it is longer, nor one for its body.
        """
        head = self._head(method, path, query, headers, body=body, payload=payload)
        kind = _class_of(method, query)
        self._before_request(kind)
        connection = self.pool.take(patience_s=patience_s)
        if connection.is_reused:
            try:
                return _good(self._send(connection, method, [head, *body], patience_s))
            except _Stale:
                # The store may have counted what it did not answer.
                self._before_request(kind)
                connection = self.pool.take(fresh=True, patience_s=patience_s)
        return _good(self._send(connection, method, [head, *body], patience_s))

    def begin_upload(
        self, path: str, *, headers: Pairs, body_bytes: int, payload: str, patience_s: float | None = None
    ) -> Upload:
        """Begin a PUT of that many bytes; with `patience_s` no wait of it is longer. Raises NoKeys, NotSent."""
        head = self._head("PUT", path, (), headers, body_bytes=body_bytes, payload=payload)
        self._before_request(UsageKind.WRITE_REQUESTS)
        connection = self.pool.take(idle_max_s=FRESH_MAX_S, patience_s=patience_s)
        upload = Upload(connection, self.pool, patience_s=patience_s)
        upload.send([head])
        return upload

    def close(self) -> None:
        self.pool.close()

    def _send(
        self, connection: Connection, method: str, parts: Sequence[Buffer], patience_s: float | None
    ) -> Answer:
        was_reused = connection.is_reused
        try:
            connection.send(parts, patience_s=patience_s)
        except OSError as error:
            is_stale = was_reused and isinstance(error, ConnectionError)
            self.pool.drop(connection)
            raise (_Stale if is_stale else NotSent)(
                f"sending broke off: {_why(error)}", is_late=isinstance(error, TimeoutError)
            ) from error
        return _answer(connection, self.pool, method=method, was_reused=was_reused, patience_s=patience_s)

    def _head(
        self,
        method: str,
        path: str,
        query: Pairs,
        headers: Pairs,
        *,
        payload: str,
        body: Sequence[Buffer] = (),
        body_bytes: int | None = None,
    ) -> bytes:
        signed = self._signer.headers(
            method, path, query, [("host", self._place.host_header), *headers], payload=payload
        )
        if method == "PUT":
            size_bytes = sum(map(len, body)) if body_bytes is None else body_bytes
            signed.append(("content-length", str(size_bytes)))
        # No `accept-encoding`: what is stored comes back as it was stored.
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed)
        target = f"{path}?{written_query(query)}" if query else path
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    def _dial(self, timeout_s: float) -> Connection:
        if self._place.is_tls and self._tls is None:
            context = ssl.create_default_context(cafile=self._place.ca)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            self._tls = context
        return connect(self._place.address, self._tls, timeout_s=timeout_s)


def _class_of(method: str, query: Pairs) -> UsageKind:
    """As providers bill it: what writes or lists, what reads, what deletes."""
    if method == "DELETE":
        return UsageKind.DELETE_REQUESTS
    # A query is a listing's.
    is_read = method in ("GET", "HEAD") and not query
    return UsageKind.READ_REQUESTS if is_read else UsageKind.WRITE_REQUESTS


class _Stale(NotSent):
    """A kept connection was closed by the other side, which answered nothing."""


def _answer(
    connection: Connection,
    pool: ConnectionPool,
    *,
    method: str,
    was_reused: bool = False,
    patience_s: float | None = None,
) -> Answer:
    try:
        head = connection.read_head(patience_s=patience_s)
        has_body = method != "HEAD" and head.status not in (204, 304)
        return Answer(head, connection, pool, has_body=has_body)
    except (OSError, EOFError, BadAnswer) as error:
        pool.drop(connection)
        if was_reused and isinstance(error, EOFError | ConnectionError):
            raise _Stale("a kept connection was closed") from error
        raise NoAnswer(f"no answer: {_why(error)}", is_late=isinstance(error, TimeoutError)) from error


def _good(answer: Answer) -> Answer:
    """The answer unless it is an error. Redirects are errors: a signed request goes where it was meant to go."""
    if 200 <= answer.status < 300:
        return answer
    try:
        raise _refusal_of(answer)
    finally:
        answer.close()


def _refusal_of(answer: Answer) -> Refused:
    code = message = ""
    raw = b""
    try:
        raw = answer.read_all(ERROR_BYTES_MAX)
        texts = dict(texts_of(raw))
        code, message = texts.get("Code", ""), texts.get("Message", "")
    except (BadAnswer, NoAnswer):
        if raw:
            message = (
                "that is no answer of S3: is it the right endpoint, with http:// or https:// as it wants?"
            )
    if not code and answer.status == 301:
        message = f"it wants to be asked elsewhere: {answer.headers.get('location', '')}"
    return Refused(status=answer.status, code=code[:64], message=message[:200])


def texts_of(document: bytes) -> list[tuple[str, str]]:
    """Every element of an XML document with its text, in order, names without namespace. Raises BadAnswer."""
    return [(name_of(each), each.text or "") for each in root_of(document).iter()]


def root_of(document: bytes) -> ElementTree.Element:
    """The outermost element of an XML document. Raises BadAnswer."""
    if b"<!DOCTYPE" in document:
        raise BadAnswer("a document with declarations of its own")
    try:
        return ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise BadAnswer("not XML") from error


def name_of(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise BadAnswer("a length that is no number")
    return int(text)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not 0 < len(digits) <= 15 or digits.strip(b"0123456789abcdefABCDEF"):
        raise BadAnswer("the size of a chunk is no number")
    return int(digits, 16)


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "nothing came in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
