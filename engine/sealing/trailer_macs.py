"""MACs of what stands beside a card on a remote store, under the card's own key."""

from collections.abc import Callable

from engine.sealing.cards import card_key_id
from engine.sealing.keyring import KeyRing


def trailer_mac(ring: KeyRing) -> Callable[[bytes, bytes], bytes]:
    """A function of card and covered bytes. It raises SealBroken for what is no card, KeyUnavailable.

    What is covered begins with a label that no card begins with: the MAC of one is never that of the other.
    """

    def mac(card: bytes, covered: bytes) -> bytes:
        return ring.key(card_key_id(card)).card_mac(covered)

    return mac
