"""Limits of a month are never passed by any number of instances, and writes and reads go round who is over one."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine.clock import Clock, SystemClock
from engine.deployment.allowances import REFUSED_FOR_S, REPORT_EVERY_S, Allowances
from engine.deployment.opening import OpenDeployment, take_file_over
from engine.errors import (
    BackendOverLimit,
    BackendUnavailable,
    NoSpaceAnywhere,
    UsageLimitReached,
)
from engine.metadata import month_usage
from engine.metadata.backends import list_backends
from engine.metadata.store import Store
from engine.names import BackendName, BucketName, ObjectKey
from engine.objects.read import Span
from engine.objects.write import PutOrder
from engine.records import ObjectHeaders, UsageKind
from engine.streams import WouldBlock
from engine.units import BLOCK_BYTES, DAY_S, MIB
from tests.integration.engine.deployment.conftest import ENVIRON, AheadClock, Open, Site
from tests.support.bodies import BytesBody, regions_of
from tests.support.metadata import make_backend, open_sqlite
from tests.support.postgres import open_postgres, shared_server

WRITES, READS = UsageKind.WRITE_REQUESTS, UsageKind.READ_REQUESTS
INGRESS, EGRESS = UsageKind.INGRESS_BYTES, UsageKind.EGRESS_BYTES
NEAR = BackendName("near")

OpenStore = Callable[[Clock | None], Store]


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the test's one database as another instance would."""
    with ExitStack() as closing:
        database = ""
        if request.param == "postgres":
            database = shared_server().lend_database()
            closing.callback(shared_server().take_back_database, database)

        def open_one(clock: Clock | None = None) -> Store:
            store: Store
            if database:
                store = open_postgres(shared_server(), database, clock=clock)
            else:
                store = open_sqlite(tmp_path, clock=clock)
            closing.callback(store.close)
            return store

        yield open_one


class Spender(threading.Thread):
    """An instance that uses a backend as fast as it can until nothing is left for a while."""

    def __init__(self, store: Store, backend_id: int, number: int) -> None:
        super().__init__()
        self.allowances = Allowances(store=store, process_id=b"instance-%07d" % number, clock=SystemClock())
        self.allowances.limit({backend_id: LIMITS})
        self.used: Counter[UsageKind] = Counter()
        self.first_refusal_s = 0.0
        self._backend_id = backend_id
        self._number = number

    def run(self) -> None:
        refused_since_s: float | None = None
        count = 0
        while (
            refused_since_s is None or time.monotonic() - refused_since_s < REPORT_EVERY_S + 2 * REFUSED_FOR_S
        ):
            count += 1
            if count % 50 == 0:
                self.allowances.tick()
            amounts = {WRITES: 1, INGRESS: 100 + (count * 37 + self._number) % 900}
            try:
                self.allowances.spend(self._backend_id, NEAR, amounts, nowait=False)
            except BackendOverLimit:
                refused_since_s = refused_since_s or time.monotonic()
                time.sleep(0.002)
            else:
                self.used.update(amounts)


LIMITS = {WRITES: 20_000, INGRESS: 5_000_003}


def test_three_instances_at_full_speed_never_pass_a_limit_and_leave_next_to_nothing(
    open_store: OpenStore,
) -> None:
    store = open_store(None)
    backend_id = make_backend(store)
    store.write(lambda tx: month_usage.set_limits(tx, backend_id, LIMITS))
    spenders = [Spender(open_store(None), backend_id, number) for number in range(3)]

    for each in spenders:
        each.start()
    for each in spenders:
        each.join()
    for each in spenders:
        each.allowances.close()

    total: Counter[UsageKind] = sum((each.used for each in spenders), Counter())
    _, accounts = store.read(month_usage.read_month)
    for kind, limit in LIMITS.items():
        assert accounts[backend_id, kind].taken == total[kind] <= limit
    # The next write would have been up to 999 bytes.
    slack = LIMITS[INGRESS] - total[INGRESS]
    print(f"slack: {slack} of {LIMITS[INGRESS]} bytes")
    assert slack < 1000
    assert all(each.used[WRITES] for each in spenders)


def put(deployment: OpenDeployment, key: bytes, data: bytes = b"x" * 1000) -> None:
    alice = deployment.find_identity("AKIAALICE")
    assert alice is not None
    order = PutOrder(
        bucket=BucketName("abc"), key=ObjectKey(key), account_id=alice.account_id, headers=ObjectHeaders()
    )
    deployment.use.writer.put(order, BytesBody(data))


def get(deployment: OpenDeployment, key: bytes) -> bytes:
    stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(key))
    return b"".join(
        regions_of(deployment.use.reader.open(stored, Span(start=0, stop=stored.version.size_bytes)))
    )


def places_of(deployment: OpenDeployment, key: bytes) -> set[str]:
    stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(key))
    by_id = {each.backend_id: str(each.name) for each in deployment.backends}
    return {by_id[location.backend_id] for each in stored.slices for location in each.locations}


def count_until(error: type[Exception], step: Callable[[int], object]) -> int:
    """How many steps go well before one raises that."""
    for number in range(100):
        try:
            step(number)
        except error:
            return number
    raise AssertionError(f"a hundred steps, and no {error.__name__}")


def limit(site: Site, name: str, limits: str) -> None:
    site.edit(f"name: {name}, kind: volume,", f"name: {name}, kind: volume, limits: {limits},")


def used_of(deployment: OpenDeployment, name: str, kind: UsageKind) -> int:
    _, accounts = deployment.store.read(month_usage.read_month)
    backend = deployment.backends.find(BackendName(name))
    assert backend is not None
    return accounts[backend.backend_id, kind].taken


def test_writes_past_a_limit_go_elsewhere_and_are_refused_where_nothing_is_left(
    any_site: Site, opened: Open
) -> None:
    limit(any_site, "v1", "{api_requests: {write: 3}}")
    limit(any_site, "v2", "{ingress_bytes: 40KiB}")
    deployment = opened()

    put_count = count_until(NoSpaceAnywhere, lambda number: put(deployment, b"%d" % number))

    names = Counter(name for number in range(put_count) for name in places_of(deployment, b"%d" % number))
    assert names["v1"] == 3
    assert 5 <= names["v2"] <= 40
    assert used_of(deployment, "v1", WRITES) == 3
    assert used_of(deployment, "v2", INGRESS) <= 40 * 1024
    assert all(get(deployment, b"%d" % number) == b"x" * 1000 for number in range(put_count))


def test_reads_past_a_limit_go_to_other_copies_and_are_refused_when_all_are_over(
    any_site: Site, opened: Open
) -> None:
    for name in ("v1", "v2"):
        any_site.edit(f"name: {name}, kind", f"name: {name}, failure_domain: {name}, kind")
    any_site.edit("backends:\n", "storage: {default_scheme: copies(2)}\nbackends:\n")
    any_site.edit("name: v1,", "name: v1, limits: {egress_bytes: 12KiB},")
    any_site.edit("name: v2,", "name: v2, limits: {api_requests: {read: 8}},")
    deployment = opened()
    for number in range(30):
        put(deployment, b"%d" % number)

    read_count = count_until(UsageLimitReached, lambda number: get(deployment, b"%d" % number))

    assert 15 < read_count < 30
    with pytest.raises(UsageLimitReached) as refused:
        get(deployment, b"29")
    assert 0 < refused.value.resets_in_s <= 31 * DAY_S
    assert used_of(deployment, "v1", EGRESS) <= 12 * 1024
    assert used_of(deployment, "v2", READS) == 8
    put(deployment, b"writes-go-on")


def test_a_body_that_the_month_cannot_end_is_refused_before_its_first_byte(
    any_site: Site, opened: Open
) -> None:
    any_site.edit("quota_bytes: 1MiB", "quota_bytes: 100MiB")
    any_site.edit("backends:\n", "routing: pack\nstorage: {chunk_bytes: 1MiB}\nbackends:\n")
    for name in ("v1", "v2"):
        limit(any_site, name, "{egress_bytes: 3MiB}")
    deployment = opened()
    long, short = b"x" * (4 * MIB), b"y" * (2 * MIB)
    for key, body in ((b"long", long), (b"short", short)):
        put(deployment, key, body)
    # The limits hold for the body as a whole, wherever its blobs lie: these are all on one backend.
    (name,) = {name for key in (b"long", b"short") for name in places_of(deployment, key)}

    stored = deployment.use.reader.find(BucketName("abc"), ObjectKey(b"long"))
    source = deployment.use.reader.open(stored, Span(start=0, stop=len(long)))
    with pytest.raises(WouldBlock):
        source.next_region(nowait=True)
    with pytest.raises(UsageLimitReached) as refused:
        source.next_region()
    source.close()

    assert refused.value.resets_in_s > 0
    assert get(deployment, b"short") == short
    # What was set aside and not read is there for others.
    leaving = deployment.use.reader.open(stored, Span(start=0, stop=MIB // 2))
    assert leaving.next_region() is not None
    leaving.close()
    part = Span(start=MIB // 2, stop=MIB)
    assert b"".join(regions_of(deployment.use.reader.open(stored, part))) == long[part.start : part.stop]
    deployment.close()
    reopened = opened()
    # Looks at its identity are reads as well, and what is leased for them counts until it is given back.
    read_bytes = len(short) + BLOCK_BYTES + MIB // 2
    assert read_bytes <= used_of(reopened, name, EGRESS) < read_bytes + 100_000


def test_a_copy_without_a_limit_is_read_first(any_site: Site, opened: Open) -> None:
    for name in ("v1", "v2"):
        any_site.edit(f"name: {name}, kind", f"name: {name}, failure_domain: {name}, kind")
    any_site.edit("backends:\n", "storage: {default_scheme: copies(2)}\nbackends:\n")
    any_site.edit("name: v1,", "name: v1, limits: {egress_bytes: 1MiB},")
    deployment = opened()
    before = used_of(deployment, "v1", EGRESS)

    for number in range(10):
        put(deployment, b"%d" % number)
        get(deployment, b"%d" % number)

    deployment.use.holder.tick()
    deployment.close()
    reopened = opened()
    assert used_of(reopened, "v1", EGRESS) - before < 200_000
    assert all(get(reopened, b"%d" % number) == b"x" * 1000 for number in range(10))


def test_what_was_leased_and_not_used_is_given_back_at_a_stop(any_site: Site, opened: Open) -> None:
    limit(any_site, "v1", "{api_requests: {write: 800}}")
    limit(any_site, "v2", "{api_requests: {write: 0}}")
    deployment = opened()
    put(deployment, b"k")
    leased = used_of(deployment, "v1", WRITES)

    deployment.close()

    reopened = opened()
    assert leased > 10
    assert used_of(reopened, "v1", WRITES) == 1


def test_a_generation_brings_limits_and_takes_them_away(any_site: Site, opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    put(deployment, b"before")
    limit(any_site, "v1", "{api_requests: {write: 0}}")
    limit(any_site, "v2", "{api_requests: {write: 2}}")
    take_file_over(any_site.config, ENVIRON)
    clock.move(5)
    deployment.tick()

    put(deployment, b"1")
    put(deployment, b"2")
    with pytest.raises(NoSpaceAnywhere):
        put(deployment, b"3")

    any_site.edit(" limits: {api_requests: {write: 0}},", "")
    take_file_over(any_site.config, ENVIRON)
    clock.move(5)
    deployment.tick()
    put(deployment, b"3")
    assert places_of(deployment, b"3") == {"v1"}
    assert get(deployment, b"before") == b"x" * 1000


def test_a_backend_that_left_has_no_limits_any_more(any_site: Site, opened: Open) -> None:
    limit(any_site, "v2", "{api_requests: {write: 0}}, object_bytes_max: 1MiB")
    deployment = opened()
    put(deployment, b"k")
    terms = {str(row.name): row.terms for row in deployment.store.read(list_backends)}
    lines = any_site.config.read_text().splitlines(keepends=True)
    any_site.config.write_text("".join(line for line in lines if "name: v2" not in line))
    take_file_over(any_site.config, ENVIRON)

    _, accounts = deployment.store.read(month_usage.read_month)

    assert terms["v2"].object_bytes_max == 1 << 20
    assert not any(each.backend == "v2" and each.limit is not None for each in accounts.values())


def test_a_new_month_begins_with_all_of_the_limit_and_nothing_of_the_last(open_store: OpenStore) -> None:
    clock = AheadClock()
    store = open_store(clock)
    backend_id, allowances = limited(store, {WRITES: 2}, clock=clock)
    spent_at_s = allowances.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)
    allowances.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)
    with pytest.raises(BackendOverLimit):
        allowances.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)

    clock.move(store.read(month_usage.read_month)[0].left_s + 1)

    allowances.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)
    allowances.give_back(backend_id, {WRITES: 1}, spent_at_s=spent_at_s)
    allowances.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)
    with pytest.raises(BackendOverLimit):
        allowances.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)


def test_without_the_database_what_was_leased_is_all_there_is(open_store: OpenStore) -> None:
    store = open_store(AheadClock())
    backend_id, allowances = limited(store, {EGRESS: 8000})
    allowances.spend(backend_id, NEAR, {EGRESS: 1}, nowait=False)
    store.close()

    allowances.spend(backend_id, NEAR, {EGRESS: 999}, nowait=False)

    with pytest.raises(BackendUnavailable):
        allowances.spend(backend_id, NEAR, {EGRESS: 1}, nowait=False)


def test_who_must_not_wait_is_told_before_anything_is_leased(open_store: OpenStore) -> None:
    store = open_store(AheadClock())
    backend_id, allowances = limited(store, {READS: 10, EGRESS: 8000})

    with pytest.raises(WouldBlock):
        allowances.spend(backend_id, NEAR, {READS: 1, EGRESS: 10}, nowait=True)
    allowances.spend(backend_id, NEAR, {READS: 1, EGRESS: 10}, nowait=False)

    allowances.spend(backend_id, NEAR, {EGRESS: 10}, nowait=True)


def test_an_idle_process_gives_back_what_it_leased_ahead(open_store: OpenStore) -> None:
    clock = AheadClock()
    store = open_store(clock)
    backend_id, idle = limited(store, {WRITES: 8000}, clock=clock)
    busy = Allowances(store=store, process_id=b"busy------------", clock=clock)
    busy.limit({backend_id: {WRITES: 8000}})
    idle.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)
    for _ in range(7000):
        busy.spend(backend_id, NEAR, {WRITES: 1}, nowait=False)

    for _ in range(5):
        clock.move(REPORT_EVERY_S)
        idle.tick()
        busy.tick()

    account = store.read(month_usage.read_month)[1][backend_id, WRITES]
    assert account.taken - 7001 < 8000 // 32


def limited(
    store: Store, limits: dict[UsageKind, int], *, clock: Clock | None = None
) -> tuple[int, Allowances]:
    """A backend with limits, and a process's account of it."""
    backend_id = make_backend(store)
    store.write(lambda tx: month_usage.set_limits(tx, backend_id, limits))
    allowances = Allowances(store=store, process_id=b"process---------", clock=clock or AheadClock())
    allowances.limit({backend_id: limits})
    return backend_id, allowances
