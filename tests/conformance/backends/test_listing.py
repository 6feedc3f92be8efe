"""What every store that can be listed says of what lies in it; of an order of keys nothing is promised."""

import pytest

from engine.backends.base import ListedBackend, ListedObject
from engine.backends.registry import listed_in
from engine.errors import PieceCorrupt, PieceMissing
from engine.units import BLOCK_BYTES
from tests.conformance.backends.conftest import Rig
from tests.support.pieces import payload_of, tail_of

CARD = b"a card of some length"


@pytest.fixture
def listed(rig: Rig) -> ListedBackend:
    backend = listed_in(rig.backend)
    if backend is None:
        pytest.skip("its bytes are found in its files")
    return backend


def every(listed: ListedBackend) -> dict[str, ListedObject]:
    """All pages, but for what is no piece."""
    found: dict[str, ListedObject] = {}
    token: str | None = None
    for _ in range(100):
        page = listed.list_objects(token)
        found |= {each.key: each for each in page.objects if each.key.startswith("pieces/")}
        token = page.next_token
        if token is None:
            return found
    raise AssertionError("it never ends")


def test_an_empty_store_lists_nothing(listed: ListedBackend) -> None:
    assert every(listed) == {}


def test_what_was_stored_is_listed_with_its_size_until_it_is_deleted(rig: Rig, listed: ListedBackend) -> None:
    sizes = [0, 1, 5000, 3 * BLOCK_BYTES + 7]
    stored = [rig.store(payload_of(size), tail_of(payload_of(size), card=CARD)) for size in sizes]

    assert {key: each.size_bytes for key, each in every(listed).items()} == {
        each.storage_key: each.stored_bytes for each in stored
    }
    assert [listed.object_bytes(each.storage_key) for each in stored] == [
        each.stored_bytes for each in stored
    ]

    rig.backend.delete(stored[0].storage_key, stored[0].stored_bytes)

    assert {*every(listed)} == {each.storage_key for each in stored[1:]}


def test_a_listing_of_several_pages_ends(rig: Rig, listed: ListedBackend) -> None:
    payload = payload_of(10)
    stored = {rig.store(payload, tail_of(payload)).storage_key for _ in range(60)}

    assert {*every(listed)} == stored


def test_the_card_of_a_piece_is_found_by_its_size_alone(rig: Rig, listed: ListedBackend) -> None:
    small, streamed = payload_of(100), payload_of(2 * BLOCK_BYTES + 1)
    pieces = [rig.store(small, tail_of(small, card=CARD)), rig.stream(streamed, tail_of(streamed, card=CARD))]

    cards = [listed.read_card(each.storage_key, each.stored_bytes) for each in pieces]

    assert cards == [CARD, CARD]


def test_what_is_not_there_has_neither_size_nor_card(rig: Rig, listed: ListedBackend) -> None:
    key = rig.missing_key()

    with pytest.raises(PieceMissing):
        listed.object_bytes(key)
    with pytest.raises((PieceMissing, PieceCorrupt)):
        listed.read_card(key, 1000)
