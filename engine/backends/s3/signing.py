"""Signature Version 4 of requests to an S3 store (S3 API, Authenticating Requests); pure but for time."""

import hashlib
import hmac
import time
from collections.abc import Sequence
from urllib.parse import quote

from engine.backends.s3.credentials import KeySource, SigningKeys
from engine.clock import Clock

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

Pairs = Sequence[tuple[str, str]]

_ALGORITHM = "AWS4-HMAC-SHA256"


class Signer:
    """Signs as one region's S3 wants it. Safe for many threads."""

    def __init__(self, *, region: str, keys: KeySource, clock: Clock) -> None:
        self._region = region
        self._keys = keys
        self._clock = clock
        # The derived key of a day, with what it was derived from.
        self._derived: tuple[tuple[str, str], bytes] | None = None

    def headers(
        self, method: str, path: str, query: Pairs, headers: Pairs, *, payload: str
    ) -> list[tuple[str, str]]:
        """The headers to send: those given, in lower case with `host` among them, and what makes them a signed request.

        `path` is encoded; `payload` is the SHA-256 of the body in hex, or what stands for it. All are signed.
        Raises NoKeys.
        """
        keys = self._keys()
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._clock.now_us() / 1_000_000))
        all_headers = [*headers, ("x-amz-content-sha256", payload), ("x-amz-date", moment)]
        if keys.token is not None:
            all_headers.append(("x-amz-security-token", keys.token))
        all_headers.sort()
        names = ";".join(name for name, _ in all_headers)
        lines = "".join(f"{name}:{value}\n" for name, value in all_headers)
        canonical = "\n".join((method, path, written_query(query), lines, names, payload))
        day = moment[:8]
        scope = f"{day}/{self._region}/s3/aws4_request"
        text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()))
        signature = hmac.digest(self._key_of(keys, day), text.encode(), "sha256").hex()
        value = f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        return [*all_headers, ("authorization", value)]

    def _key_of(self, keys: SigningKeys, day: str) -> bytes:
        made_from = (keys.secret, day)
        derived = self._derived
        if derived is None or derived[0] != made_from:
            key = f"AWS4{keys.secret}".encode()
            for part in (day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived = derived = (made_from, key)
        return derived[1]


def written_query(query: Pairs) -> str:
    """A query string as it is signed and sent: encoded and sorted."""
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in query)
    return "&".join(f"{name}={value}" for name, value in encoded)
