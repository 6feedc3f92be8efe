"""What goes wrong with a request to an S3 store, and what it means to those who use the backend."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.backends.s3.credentials import NoKeys
from engine.errors import (
    BackendError,
    BackendFull,
    BackendLate,
    BackendTimeout,
    BackendUnavailable,
    ForeignBackend,
    PieceCorrupt,
    PieceMissing,
)

_FULL_CODES = frozenset(
    {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "StorageFull", "InsufficientCapacity"}
)
_SLOW_DOWN_CODES = frozenset({"SlowDown", "ServiceUnavailable", "TooManyRequests", "RequestLimitExceeded"})
_WAYS_OUT = {
    "SignatureDoesNotMatch": "look at its secret_access_key",
    "InvalidAccessKeyId": "look at its access_key_id",
    "RequestTimeTooSkewed": "look at the clock of this machine",
}
_WAY_OUT = "look at its access key and its policy"
"""What to do about a refusal."""

_BUCKET_GONE_CODES = frozenset({"NoSuchBucket", "AllAccessDisabled"})


class Trouble(Exception):
    """Base of what a request to a store ends with when it does not end well."""


class _Unanswered(Trouble):
    """`is_late`: nothing else was wrong but that it took too long."""

    def __init__(self, message: str, *, is_late: bool = False) -> None:
        super().__init__(message)
        self.is_late = is_late


class NotSent(_Unanswered):
    """The request certainly did nothing: it never arrived whole."""


class NoAnswer(_Unanswered):
    """The request may have arrived whole, and its answer did not: what became of it is not known."""


class Refused(Trouble):
    """The store answered with an error. `code` is S3's, or empty where it told none."""

    def __init__(self, *, status: int, code: str, message: str) -> None:
        super().__init__(
            f"{status} {code}: {message.rstrip('.')}" if code else f"{status} {message}".rstrip()
        )
        self.status = status
        self.code = code

    @property
    def is_full(self) -> bool:
        return self.status == 507 or self.code in _FULL_CODES

    @property
    def is_slow_down(self) -> bool:
        """Whether fewer requests would help: the store did nothing, and says so."""
        return self.status == 429 or self.code in _SLOW_DOWN_CODES


class OtherBytesStored(Trouble):
    """The store says itself that what it has is not what it was sent."""


@contextmanager
def told_as_backend_errors(
    backend: str, doing: str, *, changes: bool = False, patience_s: float | None = None
) -> Iterator[None]:
    """Tell trouble as the backend contract does. `changes`: the request is one whose outcome matters when unknown.

    Who had only `patience_s` for each wait is told BackendLate where nothing else was wrong.
    """
    try:
        yield
    except NoKeys as error:
        raise BackendUnavailable(f"{doing}: no keys to sign with: {error}", backend=backend) from error
    except (NotSent, NoAnswer) as error:
        if patience_s is not None and error.is_late:
            raise BackendLate(f"{doing}: nothing came for {patience_s:.1f} s", backend=backend) from error
        raise backend_error(error, backend=backend, doing=doing, changes=changes) from error
    except Trouble as error:
        raise backend_error(error, backend=backend, doing=doing, changes=changes) from error


def backend_error(error: Trouble, *, backend: str, doing: str, changes: bool) -> BackendError:
    """The error that the contract has for it."""
    what = f"{doing}: {error}"
    if isinstance(error, Refused):
        return _of_refusal(error, what, backend, changes=changes)
    if isinstance(error, OtherBytesStored):
        return PieceCorrupt(what, backend=backend)
    if isinstance(error, NoAnswer) and changes:
        return BackendTimeout(what, backend=backend)
    return BackendUnavailable(what, backend=backend)


def _of_refusal(error: Refused, what: str, backend: str, *, changes: bool) -> BackendError:
    if error.code in _BUCKET_GONE_CODES:
        return ForeignBackend(f"{what} (is it the right bucket, and is it there?)", backend=backend)
    if error.is_full:
        return BackendFull(what, backend=backend)
    if error.status == 404 and not changes:
        return PieceMissing(what, backend=backend)
    if error.status in (401, 403):
        return BackendUnavailable(f"{what} ({_WAYS_OUT.get(error.code, _WAY_OUT)})", backend=backend)
    if changes and error.status >= 500 and not error.is_slow_down:
        return BackendTimeout(what, backend=backend)
    return BackendUnavailable(what, backend=backend)
