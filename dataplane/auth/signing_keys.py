"""Signing keys of Signature Version 4, derived once per key and day."""

import hmac
import threading
from collections import OrderedDict

SIGNING_KEY_COUNT_MAX = 1024
"""Keys kept; a presigned URL lives a week, so a credential has at most nine of them at a time."""

SERVICE = "s3"
TERMINATOR = "aws4_request"


class SigningKeys:
    """Least recently used keys go first. Safe for many threads.

    Only secrets of known credentials come here, so strangers cannot fill it; a secret that changed is another entry.
    """

    def __init__(self, *, count_max: int = SIGNING_KEY_COUNT_MAX) -> None:
        self._count_max = count_max
        self._lock = threading.Lock()
        self._keys: OrderedDict[tuple[str, str, str, str], bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, *, access_key_id: str, secret: str, day: str, region: str) -> bytes:
        """The key for `day` (YYYYMMDD) in `region`."""
        name = (access_key_id, secret, day, region)
        with self._lock:
            key = self._keys.get(name)
            if key is not None:
                self._keys.move_to_end(name)
                return key
        key = signing_key(secret=secret, day=day, region=region)
        with self._lock:
            self._keys[name] = key
            while len(self._keys) > self._count_max:
                self._keys.popitem(last=False)
        return key


def signing_key(*, secret: str, day: str, region: str) -> bytes:
    """Derive the key (AWS general reference, deriving a signing key)."""
    key = b"AWS4" + secret.encode()
    for part in (day, region, SERVICE, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
