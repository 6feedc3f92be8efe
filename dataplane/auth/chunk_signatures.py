"""Signatures of the chunks of a streaming payload, each over the one before it."""

import hmac

from dataplane.wire.payload import EMPTY_SHA256
from dataplane.wire.refusals import SignatureDoesNotMatch


class SignatureChain:
    """Expects the chunks' signatures in order (S3 API, signature calculations for a body in multiple chunks).

    `seed` is the proven signature of the request itself, `amz_date` and `scope` what it was signed with.
    """

    def __init__(self, *, signing_key: bytes, amz_date: str, scope: str, seed: str) -> None:
        self._key = signing_key
        self._place = f"{amz_date}\n{scope}"
        self._previous = seed

    def check_chunk(self, signature: str, data_sha256: str) -> None:
        """The chunk whose data have this digest in hex; raises SignatureDoesNotMatch."""
        self._check(
            signature,
            f"AWS4-HMAC-SHA256-PAYLOAD\n{self._place}\n{self._previous}\n{EMPTY_SHA256}\n{data_sha256}",
        )

    def check_trailer(self, signature: str, trailer_sha256: str) -> None:
        """The trailing headers, whose lines `name:value` with line feeds have this digest in hex."""
        self._check(signature, f"AWS4-HMAC-SHA256-TRAILER\n{self._place}\n{self._previous}\n{trailer_sha256}")

    def _check(self, signature: str, string_to_sign: str) -> None:
        expected = hmac.digest(self._key, string_to_sign.encode("latin-1"), "sha256").hex()
        if not hmac.compare_digest(expected.encode("ascii"), signature.encode("utf-8", "replace")):
            raise SignatureDoesNotMatch
        self._previous = expected
