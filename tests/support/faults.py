"""What can go wrong between Penstock and a store: on the way, and in the store itself."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latency:
    """The answer begins so many seconds late; the request was forwarded at once."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Bodies pass at so many bytes a second, both ways."""

    bytes_per_s: int


@dataclass(frozen=True, slots=True)
class Truncate:
    """The answer's body ends after so many bytes; `is_clean` announces that length, as a server that lies would."""

    after_bytes: int
    is_clean: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset after so many bytes of the answer's body; null: before the request is forwarded."""

    after_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class BlackHole:
    """Nothing is forwarded, and nothing is ever answered, until the fault is cleared."""


@dataclass(frozen=True, slots=True)
class BitFlip:
    """One bit of the answer's body is another one; with `in_request`, of what is stored."""

    offset: int = 0
    in_request: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """The request is not forwarded and answered with this status."""

    status: int = 503


@dataclass(frozen=True, slots=True)
class ReplyLost:
    """The request is forwarded and done; its answer never comes: the connection closes."""


@dataclass(frozen=True, slots=True)
class LateLanding:
    """The request is answered with this status (null: the connection closes), and forwarded by `land_late` only."""

    status: int | None = None


@dataclass(frozen=True, slots=True)
class LyingEtag:
    """The answer names another ETag than the server's."""

    etag: str = '"00000000000000000000000000000000"'


@dataclass(frozen=True, slots=True)
class Twice:
    """The request is forwarded two times, as a way that repeats what it thinks lost does; the second answer counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked for; `target` is path and query as they came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str:
        """Empty where there is none."""
        return next((text for each, text in self.headers if each.lower() == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer. A body that is no bytes is sent portion by portion without a length, until nobody listens."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | Iterable[bytes] = b""


@dataclass(frozen=True, slots=True)
class Instead:
    """The request is not forwarded, and answered with what `say` makes of it and its body."""

    say: Callable[[Request, bytes], Said]


@dataclass(frozen=True, slots=True)
class Altered:
    """The request is forwarded, and its answer, which is held in memory, is another one."""

    change: Callable[[Request, Said], Said]


Fault = (
    Latency
    | Rate
    | Truncate
    | Reset
    | BlackHole
    | BitFlip
    | Refusal
    | ReplyLost
    | LateLanding
    | LyingEtag
    | Twice
    | Instead
    | Altered
)
