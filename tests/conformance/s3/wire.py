"""Signs and sends requests of any shape, and sees after each that the connection is in step or closed."""

import hashlib
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dataplane.wire.times import amz_date
from engine.clock import SystemClock
from tests.support.raw_http import Answer, Connection, Pairs, request_bytes
from tests.support.served import Served
from tests.support.sigv4_signer import Signer

BUCKET = "conformance"
SENTINEL = f"/{BUCKET}/sentinel"
SENTINEL_BODY = b"what the sentinel says"
UNSIGNED = "UNSIGNED-PAYLOAD"

_NEVER_BODY = frozenset({"GET", "HEAD", "DELETE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """A client of one deployment with one key; `owner` is the key of whoever may see the sentinel."""

    address: tuple[str, int]
    access_key_id: str
    secret: str
    region: str
    owner: tuple[str, str]

    @classmethod
    def of(cls, served: Served) -> "Wire":
        """With the key that `penstock init` made."""
        known = served.credentials
        host, _, port = known.endpoint.removeprefix("http://").partition(":")
        return cls(
            address=(host, int(port)),
            access_key_id=known.access_key_id,
            secret=known.secret_access_key,
            region=known.region,
            owner=(known.access_key_id, known.secret_access_key),
        )

    def lay_sentinel(self) -> None:
        """Make the bucket of the suite and the object that is asked for after every request."""
        with Connection(self.address) as connection:
            for target, body in [(f"/{BUCKET}", b""), (SENTINEL, SENTINEL_BODY)]:
                connection.send(self.raw("PUT", target, body=body))
                assert connection.answer("PUT").status == 200

    def signer(self, *, off_s: int = 0, **wrong: Any) -> Signer:
        """Signs as of now, `off_s` seconds later, and with what is named wrong."""
        now_s = SystemClock().now_us() // 1_000_000
        right = {"access_key_id": self.access_key_id, "secret": self.secret, "region": self.region}
        return Signer(**{**right, "amz_date": amz_date(now_s + off_s), **wrong})

    def headers(
        self,
        method: str,
        target: str,
        extra: Pairs = (),
        *,
        body: bytes = b"",
        payload: str | None = "",
        signer: Signer | None = None,
        length: int | str | None = -1,
        **options: Any,
    ) -> list[tuple[str, str]]:
        """All headers of a signed request. `payload` "" stands for the body's digest, `length` -1 for its size."""
        digest = hashlib.sha256(body).hexdigest() if payload == "" else payload
        pairs = (signer or self.signer()).headers(method, target, extra, payload=digest, **options)
        if length == -1:
            length = None if method in _NEVER_BODY and not body else len(body)
        return pairs if length is None else [*pairs, ("content-length", str(length))]

    def raw(self, method: str, target: str, extra: Pairs = (), *, body: bytes = b"", **options: Any) -> bytes:
        """A whole signed request."""
        return request_bytes(method, target, self.headers(method, target, extra, body=body, **options), body)

    def ask(self, method: str, target: str, extra: Pairs = (), **options: Any) -> Answer:
        """Send a signed request on a connection of its own; the answer, after which the connection was looked at."""
        return self.send(self.raw(method, target, extra, **options), method)

    def send(self, raw: bytes, method: str = "GET", *, half_close: bool = False) -> Answer:
        """The same with a request written elsewhere. Never an internal error, whatever it was."""
        with Connection(self.address) as connection:
            connection.send(raw)
            if half_close:
                connection.end_sending()
            answer = connection.answer(method)
            self.look_after(connection, answer, may_ask=not half_close)
        return answer

    def look_after(self, connection: Connection, answer: Answer, *, may_ask: bool = True) -> None:
        """After an answer the connection closes, or the next request on it gets its own answer."""
        assert answer.status not in (500, 502, 504), answer
        if answer.closes:
            assert connection.ends(), "Connection: close, and it stays open"
        elif may_ask:
            access_key_id, secret = self.owner
            signer = self.signer(access_key_id=access_key_id, secret=secret)
            connection.send(self.raw("GET", SENTINEL, signer=signer))
            following = connection.answer()
            assert (following.status, following.body) == (200, SENTINEL_BODY), "the connection is out of step"

    def put(self, target: str, body: bytes, extra: Pairs = ()) -> Answer:
        answer = self.ask("PUT", target, extra, body=body)
        assert answer.status == 200, answer
        return answer

    def get(self, target: str, extra: Pairs = ()) -> Answer:
        return self.ask("GET", target, extra)

    def stored(self, target: str) -> bytes | None:
        """What a reader finds, None where nothing is."""
        answer = self.get(target)
        if answer.said == (404, "NoSuchKey"):
            return None
        assert answer.status == 200, answer
        return answer.body


def escaped(key: str | bytes) -> str:
    """A key as it stands in a path."""
    return quote(key, safe="/-_.~")


def with_header(pairs: Pairs, name: str, value: str | None) -> list[tuple[str, str]]:
    """The headers with one of another value, or without it."""
    kept = [(each, old) for each, old in pairs if each != name]
    return kept if value is None else [*kept, (name, value)]
