"""What the server and the application agree on beyond WSGI."""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Protocol

HeaderList = Sequence[tuple[bytes, bytes]]
"""Lower-case names and values as sent, in order."""

StartResponse = Callable[..., Any]


class Lane(Enum):
    """Where a request runs: on the loop itself, on a thread for short waits, on one that streams."""

    INLINE = "inline"
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
    """A WSGI application that also says where requests run and how refusals of the server itself look."""

    def __call__(self, environ: dict[str, Any], start_response: StartResponse, /) -> Iterable[bytes]: ...

    def classify(
        self, method: str, target: bytes, headers: HeaderList, content_length: int | None, /
    ) -> Lane: ...

    def refuse(self, code: str, status: int, message: str, /) -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body of an answer that no handler gives."""

    def draining(self) -> None:
        """The server takes no new connections: readiness is over."""


class Observer(Protocol):
    """What the server tells about itself."""

    def stalled(self, seconds: float, /) -> None: ...

    def pool_full(self, pool: str, /) -> None: ...

    def connections(self, count: int, /) -> None: ...
