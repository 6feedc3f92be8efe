"""The identity object of an S3 backend: written once below an empty prefix, compared ever after."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.backends.s3.client import DOCUMENT_BYTES_MAX, S3Client, texts_of
from engine.backends.s3.connection import BadAnswer
from engine.backends.s3.place import S3Place
from engine.backends.s3.sending import send_held
from engine.backends.s3.trouble import NoAnswer, Refused, told_as_backend_errors
from engine.clock import Clock
from engine.errors import ForeignBackend, PieceMissing
from engine.names import BackendName

IDENTITY_NAME = "penstock-backend.json"
_FORMAT = 1
_SIZE_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Identity:
    """Whose prefix it is."""

    backend: BackendName
    deployment_id: bytes
    identity_id: bytes


class IdentityObject:
    """The identity object of one backend in its store. Safe for many threads."""

    def __init__(self, client: S3Client, place: S3Place, identity: S3Identity) -> None:
        self._client = client
        self._place = place
        self._identity = identity
        self._path = place.path_of(IDENTITY_NAME)

    def register(self, *, created_at_us: int) -> None:
        """Write the identity below an empty prefix; one that is ours already is left as it is.

        Only for a backend that is being registered. Raises ForeignBackend when somebody's objects are there,
        BackendUnavailable, BackendTimeout, BackendFull. Repeating it is safe.
        """
        # In this order: whoever registers at the same time wrote its identity before anything else.
        found = _first_of_somebody(self._client, self._place, self._identity.backend)
        if self._read() is None:
            if found is not None:
                raise _occupied(self._place, found, self._identity.backend)
            self._create(created_at_us)
        self.check()

    def check(self) -> None:
        """Compare what stands in the store; raises ForeignBackend, BackendUnavailable."""
        raw = self._read()
        if raw is None:
            raise ForeignBackend(
                f"{self._place}{IDENTITY_NAME} is missing: is it the right bucket and prefix?",
                backend=self._identity.backend,
            )
        problem = self._difference(raw)
        if problem is not None:
            raise ForeignBackend(
                f"{self._place}{IDENTITY_NAME} names another deployment or backend: {problem}",
                backend=self._identity.backend,
            )

    def remove(self) -> None:
        """The prefix is nobody's any more; what else lies there stays. Repeating it is harmless.

        Raises ForeignBackend when the object there is another's, BackendUnavailable, BackendTimeout.
        """
        if self._read() is None:
            return
        self.check()
        with told_as_backend_errors(self._identity.backend, "removing the identity", changes=True):
            self._client.exchange("DELETE", self._path).close()

    def _read(self) -> bytes | None:
        try:
            with told_as_backend_errors(self._identity.backend, "reading the identity"):
                answer = self._client.exchange("GET", self._path)
                try:
                    return answer.read_all(_SIZE_MAX_BYTES + 1)
                finally:
                    answer.close()
        except PieceMissing:
            return None

    def _difference(self, raw: bytes) -> str | None:
        """What the object says that it should not; null when it is ours."""
        try:
            stored = json.loads(raw)
        except (ValueError, RecursionError):
            stored = None
        if not isinstance(stored, dict) or stored.get("format") != _FORMAT:
            return "it cannot be read"
        if stored.get("deployment_id") != self._identity.deployment_id.hex():
            return "it is another deployment's; is this the right prefix, and the right metadata database?"
        if stored.get("backend_id") != self._identity.identity_id.hex():
            return "it is another backend's of this deployment; are two prefixes in each other's place?"
        return None

    def _create(self, created_at_us: int) -> None:
        document = {
            "format": _FORMAT,
            "deployment_id": self._identity.deployment_id.hex(),
            "backend_id": self._identity.identity_id.hex(),
            "created": datetime.fromtimestamp(created_at_us / 1_000_000, tz=UTC).isoformat(),
        }
        body = json.dumps(document, indent=2).encode() + b"\n"
        headers = [("if-none-match", "*")] if self._place.quirks.creates_only else []
        with told_as_backend_errors(self._identity.backend, "writing the identity", changes=True):
            try:
                send_held(self._client, self._place, self._path, [body], headers=headers)
            except Refused as error:
                # Somebody was faster: whose identity it is will show.
                if error.status not in (409, 412):
                    raise


def check_vacant(place: S3Place, backend: BackendName, clock: Clock) -> None:
    """Look whether a new backend could be registered there; raises ForeignBackend, BackendUnavailable."""
    client = S3Client(place, clock=clock)
    try:
        found = _first_of_somebody(client, place, backend, or_identity=True)
    finally:
        client.close()
    if found is not None:
        raise _occupied(place, found, backend)


def _first_of_somebody(
    client: S3Client, place: S3Place, backend: BackendName, *, or_identity: bool = False
) -> str | None:
    """A key below the prefix, the identity's only if asked for; null when there is none."""
    prefix = place.key_prefix
    query = [("list-type", "2"), ("max-keys", "2"), ("prefix", prefix)]
    with told_as_backend_errors(backend, "listing"):
        answer = client.exchange("GET", place.bucket_path or "/", query=query)
        try:
            document = answer.read_all(DOCUMENT_BYTES_MAX)
        finally:
            answer.close()
        try:
            keys = [text for name, text in texts_of(document) if name == "Key"]
        except BadAnswer as error:
            raise NoAnswer(f"the listing cannot be read: {error}") from error
    return next((key for key in keys if or_identity or key != prefix + IDENTITY_NAME), None)


def _occupied(place: S3Place, found: str, backend: BackendName) -> ForeignBackend:
    return ForeignBackend(f"{place} is not empty: it holds {found!r}", backend=backend, is_occupied=True)
