"""HEAD with `x-penstock-verify: blocks`: the object is read and verified here, and none of its bytes are sent.

For a Penstock whose store this is: it looks after its pieces without moving them.
"""

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.server.contract import HandOn, Lane
from dataplane.wire.refusals import InvalidArgument
from engine.objects.read import Reader
from engine.records import StoredVersion

VERIFY_FIELD = "x-penstock-verify"
VERIFIED_FIELD = "x-penstock-verified"
_BLOCKS, _BAD = "blocks", "bad"


def answer_verified(exchange: Exchange, resp: Response, reader: Reader, stored: StoredVersion) -> None:
    """Say what reading all of it came to, if that was asked for. Raises what reading raises, and InvalidArgument."""
    wish = exchange.headers.get(VERIFY_FIELD)
    if wish is None:
        return
    if wish != _BLOCKS:
        raise InvalidArgument("What can be verified is `blocks`.", name=VERIFY_FIELD, value=wish)
    if exchange.environ["penstock.lane"] in (Lane.INLINE, Lane.PARKING):
        raise HandOn(Lane.STREAMING)
    resp.set_header(VERIFIED_FIELD, _BLOCKS if reader.verify(stored) else _BAD)
