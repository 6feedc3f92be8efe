"""Asking for a reset is seen by everyone who looks, each time anew."""

from functools import partial

from engine.metadata.backend_resets import ask_reset, resets_of
from engine.metadata.store import Store
from tests.support.metadata import START_US, make_backend


def asked(store: Store) -> dict[int, int]:
    return dict(resets_of(store.look("list_backend_resets", {})))


def test_each_reset_is_a_later_one(store: Store) -> None:
    near, far = make_backend(store, "near"), make_backend(store, "far")
    assert asked(store) == {}

    store.write(partial(ask_reset, backend_id=near))
    assert asked(store) == {near: START_US}
    # The clock stands still.
    store.write(partial(ask_reset, backend_id=near))
    store.write(partial(ask_reset, backend_id=far))

    assert asked(store) == {near: START_US + 1, far: START_US}
