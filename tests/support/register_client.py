"""A client that treats keys as registers: it asks one thing of one key, and says what that tells about the key."""

import hashlib
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from tests.support.history import Kind, Operation, Outcome, Value
from tests.support.instances import Instance
from tests.support.raw_http import Answer, Connection, NoAnswer, request_bytes
from tests.support.sigv4_signer import Signer

ANSWER_TIMEOUT_S = 15.0
_UNSIGNED = "UNSIGNED-PAYLOAD"
_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")


class Unexpected(AssertionError):
    """An answer that no state of any key explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an instance serves, and by which clock it judges the dates of requests."""

    name: str
    address: tuple[str, int]
    signer: Signer
    clock_ahead_s: int

    @staticmethod
    def of(name: str, instance: Instance) -> "Place":
        known = instance.credentials
        return Place(
            name=name,
            address=instance.address,
            signer=Signer(
                access_key_id=known.access_key_id, secret=known.secret_access_key, region=known.region
            ),
            clock_ahead_s=instance.clock_ahead_s,
        )


class RegisterClient:
    """One connection at a time to one instance, made again when it broke. Used by one thread."""

    def __init__(self, name: str, place: Place, bucket: str, seed: int) -> None:
        self.name = name
        self._place = place
        self._bucket = bucket
        self._random = random.Random(seed)
        self._connection: Connection | None = None
        self._step = 0
        self._signer = place.signer
        self._signed_at = 0
        self.troubles: Counter[str] = Counter()
        """Answers of the server's own failing, and answers that did not come."""
        self.refusals_s: list[float] = []
        """How long each 503 to a change took."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Its next question opens a connection again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # What can be asked of a key.

    def get(self, key: str, *, with_body: bool = True) -> Operation | None:
        """Null when nothing was learnt."""
        method = "GET" if with_body else "HEAD"
        began_ns, answer, ended_ns = self._ask(method, self._target(key))
        if answer is None or answer.status >= 500:
            return None
        if answer.status == 404:
            value: Value = None
        elif answer.status == 200:
            value = _etag(answer)
            if with_body and value not in (put_etag(answer.body), complete_etag(answer.body)):
                raise Unexpected(f"{key} has another body than its etag {value} says")
        else:
            raise self._unexpected(method, key, answer)
        return Operation(
            client=self.name,
            kind=Kind.GET,
            value=value,
            outcome=Outcome.DONE,
            began_ns=began_ns,
            ended_ns=ended_ns,
            is_degraded=answer.header("x-penstock-degraded") is not None,
        )

    def delete(self, key: str) -> Operation | None:
        return self._change(Kind.DELETE, "DELETE", key, done=204)

    def put(self, key: str, size_bytes: int) -> Operation | None:
        return self._change(Kind.PUT, "PUT", key, body=self._body(size_bytes))

    def put_if_absent(self, key: str, size_bytes: int) -> Operation | None:
        return self._change(
            Kind.PUT_IF_ABSENT, "PUT", key, body=self._body(size_bytes), condition=("if-none-match", "*")
        )

    def put_if_match(self, key: str, expected: str, size_bytes: int) -> Operation | None:
        return self._change(
            Kind.PUT_IF_MATCH,
            "PUT",
            key,
            body=self._body(size_bytes),
            condition=("if-match", f'"{expected}"'),
            expected=expected,
        )

    def complete(self, key: str, size_bytes: int) -> Operation | None:
        """An upload of one part; only its completion is about the key. One of unknown outcome is asked once more:
        it takes effect once, at some time between the first question and the last answer."""
        body = self._body(size_bytes)
        target = self._target(key)
        _, created, _ = self._ask("POST", f"{target}?uploads=")
        if created is None or created.status != 200:
            self._expect_unavailable("POST", key, created)
            return None
        found = _UPLOAD_ID.search(created.body)
        assert found is not None, created.body
        upload = f"uploadId={found[1].decode()}"
        _, part, _ = self._ask("PUT", f"{target}?partNumber=1&{upload}", body)
        if part is None or part.status != 200:
            self._expect_unavailable("PUT", key, part)
            return None
        listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.header('etag')}</ETag></Part>"
        document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        first_began_ns = 0
        operation = None
        for _ in range(2):
            began_ns, answer, ended_ns = self._ask("POST", f"{target}?{upload}", document)
            first_began_ns = first_began_ns or began_ns
            if answer is not None and answer.status < 500 and answer.said != (200, ""):
                raise self._unexpected("complete", key, answer)
            is_done = answer is not None and answer.said == (200, "")
            operation = Operation(
                client=self.name,
                kind=Kind.COMPLETE,
                value=complete_etag(body),
                outcome=Outcome.DONE if is_done else Outcome.UNKNOWN,
                began_ns=first_began_ns,
                ended_ns=ended_ns,
            )
            if is_done:
                break
        return operation

    def put_exactly(self, key: str, size_bytes: int) -> Answer | None:
        """Store so many bytes, and hear the answer itself."""
        _, answer, _ = self._ask("PUT", self._target(key), self._random.randbytes(size_bytes))
        return answer

    def make_bucket(self) -> None:
        _, answer, _ = self._ask("PUT", f"/{self._bucket}")
        if answer is None or answer.status != 200:
            raise Unexpected(f"the bucket cannot be made: {answer}")

    # How it is asked.

    def _change(
        self,
        kind: Kind,
        method: str,
        key: str,
        *,
        body: bytes = b"",
        done: int = 200,
        condition: tuple[str, str] | None = None,
        expected: Value = None,
    ) -> Operation | None:
        extra = [condition] if condition else []
        began_ns, answer, ended_ns = self._ask(method, self._target(key), body, extra)
        value = None if kind is Kind.DELETE else put_etag(body)
        if answer is None:
            if began_ns == ended_ns:
                return None
            outcome = Outcome.UNKNOWN
        elif answer.status == done:
            outcome = Outcome.DONE
            if value is not None and _etag(answer) != value:
                raise Unexpected(f"{key} was stored as {_etag(answer)}, not as {value}")
        elif answer.status >= 500:
            outcome = Outcome.UNKNOWN
        else:
            refusals = {
                (412, "PreconditionFailed"): Outcome.REFUSED,
                (404, "NoSuchKey"): Outcome.MISSING,
                (409, "ConditionalRequestConflict"): Outcome.NOTHING,
            }
            if condition is None or answer.said not in refusals:
                raise self._unexpected(kind.value, key, answer)
            outcome = refusals[answer.said]
        if answer is not None and answer.status == 503:
            self.refusals_s.append((ended_ns - began_ns) / 1e9)
        return Operation(
            client=self.name,
            kind=kind,
            value=value,
            outcome=outcome,
            began_ns=began_ns,
            ended_ns=ended_ns,
            expected=expected,
        )

    def _ask(
        self, method: str, target: str, body: bytes = b"", extra: list[tuple[str, str]] | None = None
    ) -> tuple[int, Answer | None, int]:
        """When it was sent, the answer, and when that had come; no answer when the connection broke before, and
        equal times when nothing was sent at all."""
        headers = list(extra or [])
        if body or method in ("PUT", "POST"):
            headers.append(("content-length", str(len(body))))
        signed = self._signer_now().headers(method, target, headers, payload=_UNSIGNED)
        raw = request_bytes(method, target, signed, body)
        try:
            connection = self._connected()
        except OSError:
            self.troubles[f"{method} not sent"] += 1
            now_ns = time.monotonic_ns()
            return now_ns, None, now_ns
        began_ns = time.monotonic_ns()
        answer: Answer | None = None
        try:
            connection.send(raw)
            answer = connection.answer(method, timeout_s=ANSWER_TIMEOUT_S)
        except (NoAnswer, OSError):
            self.troubles[f"{method} not answered"] += 1
            self.close()
        else:
            if answer.status >= 500:
                self.troubles[f"{method} {answer.status} {answer.code}"] += 1
            if answer.closes:
                self.close()
        return began_ns, answer, max(time.monotonic_ns(), began_ns + 1)

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_cut():
            self.close()
            self._connection = Connection(self._place.address, timeout_s=ANSWER_TIMEOUT_S)
        return self._connection

    def _signer_now(self) -> Signer:
        now = int(time.time()) + self._place.clock_ahead_s
        if now != self._signed_at:
            self._signed_at = now
            self._signer = replace(
                self._place.signer, amz_date=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
            )
        return self._signer

    def _target(self, key: str) -> str:
        return f"/{self._bucket}/{key}"

    def _body(self, size_bytes: int) -> bytes:
        """Bytes that no other write has."""
        self._step += 1
        head = f"{self.name} {self._step}\n".encode()
        return head + self._random.randbytes(max(0, size_bytes - len(head)))

    def _expect_unavailable(self, what: str, key: str, answer: Answer | None) -> None:
        if answer is not None and answer.status < 500:
            raise self._unexpected(what, key, answer)

    def _unexpected(self, what: str, key: str, answer: Answer) -> Unexpected:
        return Unexpected(f"{self.name}: {what} of {key} was answered {answer.said}: {answer.body[:500]!r}")


def put_etag(body: bytes) -> str:
    """Of an object stored at once."""
    return hashlib.md5(body).hexdigest()


def complete_etag(body: bytes) -> str:
    """Of an object uploaded as one part."""
    return f"{hashlib.md5(hashlib.md5(body).digest()).hexdigest()}-1"


def _etag(answer: Answer) -> str:
    return (answer.header("etag") or "").strip('"')
