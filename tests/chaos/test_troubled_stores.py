"""Any one of three stores may be down, slow, or a liar: reads are byte-equal, writes go on, two good copies come back.

The bytes are looked at where they lie, past Penstock and all proxies. How long everything took is printed (`-s`).
`PENSTOCK_CHAOS_STORES=1` runs the long form: every trouble, on each store, over both engines.
"""

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from engine.backends.volume.format import FIRST_RECORD_OFFSET
from engine.units import KIB, MIB
from tests.support.faults import BlackHole, Fault, Latency, Rate, Refusal, Reset, Truncate
from tests.support.lies import LIES, is_piece_read
from tests.support.three_stores import ThreeStores

LONG = os.environ.get("PENSTOCK_CHAOS_STORES")
SIZES = [5000, 300 * KIB, 2 * MIB + 77]
CALL_MAX_S = 30.0
"""Bound on one read or write: a store that answers nothing is given up within ten seconds, and then left alone."""

HUNG_WRITE_MAX_S = 9.0
"""Of a store that hangs a write has enough after some four seconds where there is another place; that one is quick."""

START_MAX_S = 120.0
WHOLE_WITHIN_S = 120.0
FAILED_WITHIN_S = 420.0
"""A store that is silent counts as failed after some three minutes; what lay there is made anew from then on."""

TRIES_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong on the way to a store."""

    make: Callable[[], Fault]
    which: Callable[[Any], bool] = lambda request: True
    lasts: bool = False
    """Until all copies that lay there were made anew elsewhere."""


TROUBLES: Mapping[str, Trouble] = {
    "down": Trouble(make=Reset),
    "down-for-long": Trouble(make=Reset, lasts=True),
    "black-hole": Trouble(make=BlackHole),
    "slow-by-30-s": Trouble(make=lambda: Latency(30.0)),
    "trickles": Trouble(make=lambda: Rate(256 * KIB)),
    "resets-midway": Trouble(make=lambda: Reset(1000), which=is_piece_read),
    "truncates": Trouble(make=lambda: Truncate(300_000), which=is_piece_read),
    "fails-500": Trouble(make=lambda: Refusal(500)),
    "fails-503": Trouble(make=lambda: Refusal(503)),
    **{name: Trouble(make=lie.make, which=lie.which) for name, lie in LIES.items()},
}
REMOTE = ("pen", "foreign")
SHORT = (("foreign", "down"), ("pen", "keeps-nothing"), ("foreign", "other-bytes"), ("v1", "rot"))
LONG_CASES = [*([(name, trouble) for trouble in TROUBLES] for name in REMOTE), [("v1", "rot")]]
UNSEEN = {"lists-nothing"}
"""Nothing that is done here asks for it."""

ROUND_COUNT_MAX = 5
"""Times that objects are written until one of them was to lie on the store in trouble."""

USED_PIECES = 4
USED_WITHIN_S = 120.0

pytestmark = pytest.mark.timeout(3000 if LONG else 120)


@dataclass(slots=True, kw_only=True)
class Times:
    """The slowest calls while a store was in trouble."""

    read_s: float = 0.0
    write_s: float = 0.0
    refused: list[str] = field(default_factory=list)


@pytest.fixture(params=["sqlite", "postgres"] if LONG else ["sqlite"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def stores(engine: str, tmp_path: Path) -> Iterator[ThreeStores]:
    with ThreeStores(tmp_path, engine=engine) as stores:
        stores.main.client().create_bucket(Bucket="photos")
        yield stores


@pytest.mark.parametrize("cases", LONG_CASES if LONG else [SHORT], ids=lambda cases: str(cases[0][0]))
def test_any_one_store_may_be_in_any_trouble(
    stores: ThreeStores, engine: str, cases: Sequence[tuple[str, str]]
) -> None:
    first = put_all(stores, "first", 1, Times())
    for number, (store, trouble) in enumerate(cases):
        if LONG and number:
            # A process remembers for minutes how often a store broke down.
            stores.main.stop()
            stores.main.start(wait=False)
            stores.main.wait_ready(START_MAX_S)
        bodies = first | put_until_used(stores, store, f"{number}-before", seed=100 * number)
        stores.wait_until_whole(bodies, within_s=WHOLE_WITHIN_S)
        times = Times()

        with Clearing(stores, store, trouble) as clearing:
            read_all(stores, bodies, times)
            for round_ in range(ROUND_COUNT_MAX):
                bodies |= put_all(stores, f"{number}-during-{round_}", 50_000 + 100 * number + round_, times)
                if clearing.struck_count > 0:
                    break
            read_all(stores, bodies, times)
            if trouble in TROUBLES and TROUBLES[trouble].lasts:
                wait_until_made_anew(stores, store, bodies)
                read_all(stores, bodies, times)
        whole_s = stores.wait_until_whole(bodies, within_s=WHOLE_WITHIN_S)
        begun_s = time.monotonic()
        bodies |= put_until_used(stores, store, f"{number}-behind", seed=100 * number + 50)
        used_s = time.monotonic() - begun_s

        read_all(stores, bodies, Times())
        print(
            f"{engine:9} {store:8} {trouble:24} struck {clearing.struck_count:3}, reads {times.read_s:5.1f} s, "
            f"writes {times.write_s:5.1f} s, two copies after {whole_s:5.1f} s, used after {used_s:5.1f} s "
            f"{' '.join(sorted(set(times.refused)))}",
            flush=True,
        )
        assert clearing.struck_count > 0 or trouble in UNSEEN
        for key in bodies:
            if key not in first:
                stores.main.client().delete_object(Bucket="photos", Key=key)
    assert stores.main.fsck()["findings"] == []


@pytest.mark.parametrize("store", REMOTE if LONG else REMOTE[:1])
def test_a_store_that_hangs_holds_a_write_no_longer_than_it_takes_to_know(
    stores: ThreeStores, store: str
) -> None:
    times = Times()

    with Clearing(stores, store, "black-hole") as clearing:
        bodies = put_all(stores, "hung", 1, times)
        for round_ in range(1, ROUND_COUNT_MAX):
            if clearing.struck_count:
                break
            bodies |= put_all(stores, f"hung-{round_}", round_, times)
        read_all(stores, bodies, times)

    assert clearing.struck_count > 0
    assert times.refused == []
    assert times.write_s < HUNG_WRITE_MAX_S
    stores.wait_until_whole(bodies, within_s=WHOLE_WITHIN_S)
    print(f"{store} hung: writes {times.write_s:.1f} s, reads {times.read_s:.1f} s", flush=True)


class Clearing:
    """A store is in trouble from `with` to its end."""

    def __init__(self, stores: ThreeStores, store: str, trouble: str) -> None:
        self._stores = stores
        self._trouble = trouble
        self._way = stores.ways.get(store)
        self._counted = 0

    def __enter__(self) -> Self:
        if self._way is None:
            self._counted = -rot(self._stores.volume)
        else:
            trouble = TROUBLES[self._trouble]
            self._counted = self._way.struck_count
            self._way.add(trouble.make(), which=trouble.which)
        return self

    def __exit__(self, *_: object) -> None:
        if self._way is not None:
            self._way.clear()
            self._way.land_late()

    @property
    def struck_count(self) -> int:
        return (0 if self._way is None else self._way.struck_count) - self._counted


def rot(folder: Path) -> int:
    """One bit of each block of each volume file of this folder is another one; how many."""
    count = 0
    for file in folder.rglob("*.volume"):
        with file.open("r+b") as opened:
            size_bytes = file.stat().st_size
            for at in range(FIRST_RECORD_OFFSET + 1000, size_bytes, 64 * KIB):
                opened.seek(at)
                byte = opened.read(1)
                opened.seek(at)
                opened.write(bytes([byte[0] ^ 1]))
                count += 1
    return count


def put_until_used(stores: ThreeStores, store: str, word: str, *, seed: int) -> dict[str, bytes]:
    """Objects of which several pieces lie on that store; one that is not trusted takes none."""
    bodies: dict[str, bytes] = {}
    count, round_, deadline_s = 0, 0, time.monotonic() + USED_WITHIN_S
    while count < USED_PIECES:
        assert time.monotonic() < deadline_s, f"{store} takes nothing\n{stores.main.log_tail()}"
        fresh = put_all(stores, f"{word}-{round_}", seed + round_, Times())
        found = sum(each.backend == store for key in fresh for each in stores.pieces(key))
        if found:
            bodies |= fresh
        else:
            for key in fresh:
                stores.main.client().delete_object(Bucket="photos", Key=key)
            time.sleep(TRIES_PAUSE_S)
        count, round_ = count + found, round_ + 1
    return bodies


def wait_until_made_anew(stores: ThreeStores, store: str, bodies: Mapping[str, bytes]) -> None:
    deadline_s = time.monotonic() + FAILED_WITHIN_S
    while not all(stores.stands_without(store, key, body) for key, body in bodies.items()):
        assert time.monotonic() < deadline_s, stores.main.log_tail()
        time.sleep(1.0)


def put_all(stores: ThreeStores, word: str, seed: int, times: Times) -> dict[str, bytes]:
    bodies = {f"{word}-{size}": random.Random(seed + size).randbytes(size) for size in SIZES}
    s3 = stores.main.client(read_timeout=60)
    for key, body in bodies.items():
        begun_s = time.monotonic()
        while True:
            try:
                s3.put_object(Bucket="photos", Key=key, Body=body)
                break
            except (ClientError, BotoCoreError) as error:
                # A store is trusted again after some looks at it; until then `SlowDown` may be told.
                times.refused.append(str(error)[:60])
                assert time.monotonic() - begun_s < CALL_MAX_S, error
                time.sleep(TRIES_PAUSE_S)
        times.write_s = max(times.write_s, time.monotonic() - begun_s)
        assert times.write_s < CALL_MAX_S
    return bodies


def read_all(stores: ThreeStores, bodies: Mapping[str, bytes], times: Times) -> None:
    s3 = stores.main.client(read_timeout=60)
    for key, body in bodies.items():
        begun_s = time.monotonic()
        assert s3.get_object(Bucket="photos", Key=key)["Body"].read() == body
        times.read_s = max(times.read_s, time.monotonic() - begun_s)
        assert times.read_s < CALL_MAX_S
