"""What the server and the application agree on beyond WSGI.

The application is called as `application(environ, start_response)` and returns bytes, or one RegionSource whose length
the headers announce. Beside the usual keys `environ` holds:

- `penstock.target`: the request target as it came, bytes. `PATH_INFO` is always "/" and `QUERY_STRING` always empty.
- `penstock.headers`: HeaderList. Names with underscores are not among them. Of HTTP_* keys there is only `HTTP_HOST`.
- `penstock.listener`: the index of the listening socket the connection came by.
- `penstock.started_s`: `time.monotonic()` when the head was complete.
- `penstock.lane`: the Lane it runs in. In INLINE the application may raise HandOn, and is called again with a new
  `environ` in the lane named. In PARKING, which only requests with a whole small body or none get, it may wait for
  nothing but what sets it aside (`engine.parking`), and may hand on to STREAMING. In the others it must answer.
- `wsgi.input`: has `size_bytes` (Content-Length, None without), `readinto` and `read`. Both raise BodyError; left to
  itself a BodyError is answered by the server. In INLINE the first read of a body that has not come whole raises
  HandOn. `100 Continue` is sent by the first read, and before the answer where the body is announced as empty.

The application may put a callable at `penstock.ended`: an Ended, called exactly once after the response has ended or
was cut, on whichever thread that happened; not when HandOn was raised. What it raises is logged.

A RegionSource is asked for regions by one thread at a time, on the loop always with `nowait`. It is closed by the
server in every case, before `penstock.ended` is called. When it raises, the connection is cut.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Protocol

HeaderList = Sequence[tuple[bytes, bytes]]
"""Lower-case names and values as sent, in order."""

StartResponse = Callable[..., Any]

Ended = Callable[[int, int, int, bool], None]
"""Status, bytes of the request's body that were read, bytes of the response's body that were sent, and whether the
response went out whole (to the kernel: nobody knows whether the client has it)."""


class Lane(Enum):
    """Where a request runs: on the loop itself, there too but set aside while it waits for a commit, on a thread for
    short waits, on one that streams."""

    INLINE = "inline"
    PARKING = "parking"
    SHORT = "short"
    STREAMING = "streaming"


class HandOn(BaseException):
    """A request on the loop needs to wait: run it again in that lane. Raised before anything was read or answered.

    Not an `Exception`, so that no handler in between takes it for a failure.
    """

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane)
        self.lane = lane


class Application(Protocol):
    """A WSGI application that also says where requests run and how refusals of the server itself look.

    It may also have `observer`, an Observer, `parking`, the Parking in which requests of that lane are set aside
    (without it they run on threads), `certificates`, Certificates by the
    index of the listening socket that speaks TLS, and `close()`, called once after the last request.
    """

    def __call__(self, environ: dict[str, Any], start_response: StartResponse, /) -> Iterable[bytes]: ...

    def classify(
        self, method: str, target: bytes, headers: HeaderList, content_length: int | None, /
    ) -> Lane:
        """Called on the loop, for a guess that costs nothing: no I/O.

        SHORT, also when a HandOn names it, becomes STREAMING for a body above `small_body_bytes` and for one that has
        not come whole: threads for short waits never wait for a client.
        """

    def refuse(self, code: str, status: int, message: str, /) -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body of an answer that no handler gives; called on the loop and on threads."""

    def draining(self) -> None:
        """The server takes no new connections: readiness is over."""


class Observer(Protocol):
    """What the server tells about itself, on the loop."""

    def stalled(self, seconds: float, /) -> None:
        """A turn of the loop took longer than it may."""

    def pool_full(self, pool: str, /) -> None:
        """A request was refused, or a response has to wait, because `pool` ("short", "streaming") has no room."""

    def connections(self, count: int, /) -> None:
        """How many connections are open, told when it changed, at most once a tick."""
