"""When keys and tokens were used last is noted in batches, and not again by who comes just after."""

from collections.abc import Sequence
from functools import partial

import pytest

from engine.clock import SystemClock
from engine.deployment.last_uses import NAME_COUNT_MAX, WRITE_EVERY_S, LastUses
from engine.errors import DatabaseUnavailable
from engine.metadata import access_keys, admin_tokens
from engine.metadata.last_uses import note_uses
from engine.metadata.store import Store
from tests.conformance.metadata.test_identity_changes import make, make_key, make_token, ring_key
from tests.support.metadata import START_US, SetClock

__all__ = ["ring_key"]


def note(store: Store, *, keys: Sequence[str] = (), tokens: Sequence[str] = ()) -> None:
    store.write(partial(note_uses, access_keys=keys, tokens=tokens, rest_s=30.0))


def last_used_us(store: Store, key: str = "KEY1") -> int | None:
    return store.read(partial(access_keys.see_access_key, access_key_id=key)).last_used_us


def test_the_last_use_of_keys_and_tokens_is_noted(store: Store, clock: SetClock) -> None:
    make(store)
    make_key(store, "KEY1")
    make_key(store, "KEY2")
    make_token(store)
    clock.move(100)

    note(store, keys=["KEY1", "GONE"], tokens=["ops", "nobody"])

    seen = store.read(partial(access_keys.see_access_keys, identity=None, after="", count_max=9))
    assert [each.last_used_us for each in seen] == [START_US + 100_000_000, None]
    (token,) = store.read(partial(admin_tokens.see_tokens, after="", count_max=9))
    assert token.last_used_us == START_US + 100_000_000
    assert store.read(partial(admin_tokens.see_token, name="ops")) == token


def test_what_was_noted_just_now_is_left_alone(store: Store, clock: SetClock) -> None:
    make(store)
    make_key(store)
    note(store, keys=["KEY1"])
    clock.move(29)
    note(store, keys=["KEY1"])
    soon_us = last_used_us(store)
    clock.move(2)

    note(store, keys=["KEY1"])

    assert (soon_us, last_used_us(store)) == (START_US, START_US + 31_000_000)


class Running(SystemClock):
    """Monotonic time as a test moves it."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic_s(self) -> float:
        return self.now_s


class Watched:
    """A store of which the writes are counted, and fail while it is away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_away = False
        self.write_count = 0

    def write(self, unit: object) -> object:
        if self.is_away:
            raise DatabaseUnavailable("away")
        self.write_count += 1
        return self._store.write(unit)  # type: ignore[arg-type]


def test_a_thousand_uses_are_one_write_a_minute(store: Store) -> None:
    make(store)
    make_key(store)
    watched, clock = Watched(store), Running()
    uses = LastUses(watched, clock)  # type: ignore[arg-type]
    for _ in range(1000):
        uses.note_access_key("KEY1")
        uses.tick()
    before = (watched.write_count, last_used_us(store))
    clock.now_s += WRITE_EVERY_S

    uses.tick()
    uses.tick()
    clock.now_s += WRITE_EVERY_S
    uses.tick()

    assert before == (0, None)
    assert (watched.write_count, last_used_us(store)) == (1, START_US)


def test_what_could_not_be_written_is_written_later(store: Store) -> None:
    make(store)
    make_key(store)
    make_token(store)
    watched = Watched(store)
    uses = LastUses(watched, Running())  # type: ignore[arg-type]
    uses.note_access_key("KEY1")
    uses.note_token("ops")
    watched.is_away = True
    with pytest.raises(DatabaseUnavailable):
        uses.write()
    watched.is_away = False

    uses.write()

    assert last_used_us(store) == START_US
    assert store.read(partial(admin_tokens.see_token, name="ops")).last_used_us == START_US


def test_more_keys_than_are_remembered_do_no_harm(store: Store) -> None:
    make(store)
    make_key(store)
    uses = LastUses(store, Running())
    uses.note_access_key("KEY1")
    for number in range(2 * NAME_COUNT_MAX):
        uses.note_access_key(f"OTHER{number}")

    uses.write()

    assert last_used_us(store) == START_US
