"""HEAD with `x-penstock-verify: blocks`: the object is read and verified here, and none of its bytes are sent.

For a Penstock whose store this is: it looks after its pieces without moving them. So only who writes here may ask for
it, and few at a time: such a request costs a read of the whole object, and next to nothing to send.
"""

import threading
from typing import Protocol

from falcon import Response

from dataplane.auth.identity import ALLOWED
from dataplane.exchange import Exchange
from dataplane.server.contract import HandOn, Lane
from dataplane.wire.operations import Action, AuthKind
from dataplane.wire.refusals import InvalidArgument
from engine.records import StoredVersion

VERIFY_FIELD = "x-penstock-verify"
VERIFIED_FIELD = "x-penstock-verified"
_BLOCKS, _BAD = "blocks", "bad"

VERIFYING_COUNT_MAX = 2
"""Objects that one process reads for nobody at a time. Who asks for another one is answered as if it had not."""


class Verifier(Protocol):
    """What reads; see `engine.objects.read.Reader`."""

    def verify(self, stored: StoredVersion, /) -> bool:
        """Whether all of it is good."""


class Verifying:
    """Verifies objects of one process. Safe for many threads."""

    def __init__(self, reader: Verifier) -> None:
        self._reader = reader
        self._free = threading.BoundedSemaphore(VERIFYING_COUNT_MAX)

    def answer(self, exchange: Exchange, resp: Response, stored: StoredVersion) -> None:
        """Say what reading all of it came to, if that was asked for by who may, and is not done too often already.

        Raises what reading raises, and InvalidArgument.
        """
        wish = exchange.headers.get(VERIFY_FIELD)
        if wish is None:
            return
        if wish != _BLOCKS:
            raise InvalidArgument("What can be verified is `blocks`.", name=VERIFY_FIELD, value=wish)
        if not _may_ask(exchange):
            return
        if exchange.environ["penstock.lane"] in (Lane.INLINE, Lane.PARKING):
            raise HandOn(Lane.STREAMING)
        if not self._free.acquire(blocking=False):
            return
        try:
            resp.set_header(VERIFIED_FIELD, _BLOCKS if self._reader.verify(stored) else _BAD)
        finally:
            self._free.release()


def _may_ask(exchange: Exchange) -> bool:
    """Who may write here, and signed for that itself: a presigned URL may be in anybody's hands."""
    is_link = exchange.caller.auth_kind is not AuthKind.HEADER
    return not is_link and Action.PUT_OBJECT in ALLOWED[exchange.identity.role]
