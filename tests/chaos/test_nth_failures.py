"""Whichever call fails, of a disk, of the database or of a remote store: the result is old or new, the error is typed.

Each request is made again and again, and each time one call further on fails, until the request gets through without
meeting its failure. After every one the process is gone; what the next one finds is what the client was told, and
upkeep leaves nothing behind.
"""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import pytest

from engine.backends.memory import Call, Fault
from engine.errors import EngineError, NoSpaceAnywhere, NoSuchKey, OutcomeUnknown
from engine.names import bucket_name
from engine.objects.multipart import WrittenPart
from engine.placement.policy import Routing
from engine.records import Copies, Sealing
from engine.units import KIB
from tests.support.cut_proxy import Cut, CutProxy
from tests.support.engines import metadata_on, on_each_engine
from tests.support.nth import numbers
from tests.support.objects import ObjectRig, Shape
from tests.support.pieces import payload_of
from tests.support.postgres import shared_server
from tests.support.sqlite_files import SqliteDisk, watched_sqlite
from tests.support.volumes import FailingDisk


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    on_each_engine(metafunc, "engine")


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The database of the test's deployment."""
    with metadata_on(request.param):
        yield request.param


SEALED = bucket_name("sealed")
SMALL, STREAMED = 5_000, 300 * KIB
CALL_COUNT_MAX = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request about to be made: the key it is about, and what that reads as before and after."""

    key: str
    old: bytes | None
    new: bytes | None
    act: Callable[[], object]


Prepare = Callable[[ObjectRig, int], Prepared]


def put(size_bytes: int) -> Prepare:
    def prepare(rig: ObjectRig, number: int) -> Prepared:
        key, data = f"fresh-{number}", payload_of(size_bytes, seed=number)
        return Prepared(key=key, old=None, new=data, act=lambda: rig.put(key, data))

    return prepare


def overwrite(size_bytes: int) -> Prepare:
    def prepare(rig: ObjectRig, number: int) -> Prepared:
        old, new = payload_of(size_bytes), payload_of(size_bytes, seed=1 + number)
        rig.put("kept", old)
        return Prepared(key="kept", old=old, new=new, act=lambda: rig.put("kept", new))

    return prepare


def delete(rig: ObjectRig, number: int) -> Prepared:
    old = payload_of(SMALL, seed=number)
    rig.put("kept", old)
    return Prepared(key="kept", old=old, new=None, act=lambda: rig.delete("kept"))


def complete(rig: ObjectRig, number: int) -> Prepared:
    rig.put("kept", b"old")
    data = [payload_of(STREAMED, seed=number), payload_of(SMALL, seed=number)]
    upload_id = rig.begin_upload("kept")
    parts: list[WrittenPart] = [
        rig.put_part(upload_id, "kept", index, each) for index, each in enumerate(data, start=1)
    ]
    return Prepared(
        key="kept", old=b"old", new=b"".join(data), act=lambda: rig.complete(upload_id, "kept", parts)
    )


def copy_joined(rig: ObjectRig, number: int) -> Prepared:
    data = payload_of(SMALL, seed=number)
    rig.put("source", data)
    key = f"fresh-{number}"
    return Prepared(key=key, old=None, new=data, act=lambda: rig.copy("source", key))


def copy_streamed(rig: ObjectRig, number: int) -> Prepared:
    data = payload_of(STREAMED, seed=number)
    rig.put("source", data, bucket=SEALED)
    key = f"fresh-{number}"
    return Prepared(key=key, old=None, new=data, act=lambda: rig.copy("source", key, source_bucket=SEALED))


REQUESTS: dict[str, Prepare] = {
    "put": put(SMALL),
    "overwrite": overwrite(SMALL),
    "overwrite-streamed": overwrite(STREAMED),
    "delete": delete,
    "complete": complete,
    "copy-joined": copy_joined,
    "copy-streamed": copy_streamed,
}
STORING = ["put", "overwrite", "overwrite-streamed", "copy-streamed"]
"""Requests that write to backends; the others move no bytes."""


class NthFailure:
    """Fails the call of that name after some others of it went well, once, while it is armed."""

    def __init__(self) -> None:
        self._call: str | None = None
        self._left_count = 0
        self._error: Callable[[], Exception] = RuntimeError

    def arm(self, call: str, after_count: int, error: Callable[[], Exception]) -> None:
        self._call, self._left_count, self._error = call, after_count, error

    def disarm(self) -> bool:
        """Whether the failure struck."""
        struck, self._call = self._call is None, None
        return struck

    def called(self, call: str) -> None:
        if call != self._call:
            return
        if self._left_count == 0:
            self._call = None
            raise self._error()
        self._left_count -= 1


class FailingSqlite(SqliteDisk):
    """The database's disk, failing where it is told to."""

    def __init__(self, failure: NthFailure) -> None:
        self._failure = failure

    def write(self, path: str, data: bytes, offset: int, call: Callable[[], None]) -> None:
        self._failure.called("database write")
        call()

    def sync(self, path: str, call: Callable[[], None]) -> None:
        self._failure.called("database sync")
        call()


def read_or_none(rig: ObjectRig, key: str) -> bytes | None:
    try:
        return rig.get(key)
    except NoSuchKey:
        return None


def outcome_of(act: Callable[[], object]) -> EngineError | None:
    try:
        act()
    except EngineError as error:
        assert error.may_repeat or isinstance(error, NoSpaceAnywhere), repr(error)
        return error
    return None


def check(rig: ObjectRig, prepared: Prepared, error: EngineError | None, where: str) -> None:
    """What stands is what was told, in this process, in the next one, and after upkeep."""
    allowed = [prepared.new] if error is None else [prepared.old]
    if isinstance(error, OutcomeUnknown):
        allowed.append(prepared.new)
    rig.crash()
    found = read_or_none(rig, prepared.key)
    assert found in allowed, where
    report = rig.settle()
    assert report.is_clean, (where, report.findings)
    assert rig.unaccounted() == set(), where
    assert read_or_none(rig, prepared.key) == found, where


def pieces_stand_apart(rig: ObjectRig, key: str) -> bool:
    """Every blob has both of its copies, on two backends."""
    slices = rig.find(key).slices
    return all(len({each.backend_id for each in one.locations}) == 2 for one in slices)


def os_error(number: int) -> Callable[[], Exception]:
    return lambda: OSError(number, os.strerror(number))


DISK_ERRORS = {"EIO": os_error(errno.EIO), "ENOSPC": os_error(errno.ENOSPC)}
REMOTE_CALLS = [Call.STORE, Call.OPEN_WRITER, Call.WRITE, Call.FINISH, Call.OPEN_READER, Call.READ]
DISK_CALLS = ["write", "sync", "sync_directory", "reserve", "start_writeback", "punch"]


@pytest.mark.parametrize("failing_with", DISK_ERRORS)
@pytest.mark.parametrize("name", STORING)
def test_a_volume_call_that_fails_costs_the_client_nothing(
    tmp_path: Path, engine: str, name: str, failing_with: str
) -> None:
    failure = NthFailure()
    shape = Shape(volume_count=3, scheme=Copies(count=2), chunk_bytes=256 * KIB)
    rig = ObjectRig(tmp_path / "rig", shape, disk=FailingDisk(failure.called))
    rig.make_bucket(SEALED, seal=Sealing.ALL)

    for call in DISK_CALLS:
        for number in numbers(engine, CALL_COUNT_MAX):
            prepared = REQUESTS[name](rig, number)
            # The next write opens a file, makes one if need be, and the failure may strike there as well.
            for volume in rig.volumes:
                volume.close_volumes()
            failure.arm(call, number, DISK_ERRORS[failing_with])

            error = outcome_of(prepared.act)

            struck = failure.disarm()
            where = f"{name}, {call} {number}: {error!r}"
            assert error is None, where
            if prepared.new is not None:
                assert pieces_stand_apart(rig, prepared.key), where
            check(rig, prepared, error, where)
            rig.delete(prepared.key)
            if not struck:
                break
        else:
            raise AssertionError("it never gets through")
    rig.close()


@pytest.mark.parametrize("name", sorted(REQUESTS.keys() - STORING))
def test_a_request_that_moves_no_bytes_asks_no_backend(tmp_path: Path, name: str) -> None:
    failure = NthFailure()
    shape = Shape(volume_count=1, memory_count=1, scheme=Copies(count=2), chunk_bytes=256 * KIB)
    rig = ObjectRig(tmp_path / "rig", shape, disk=FailingDisk(failure.called))
    prepared = REQUESTS[name](rig, 0)
    failure.arm("write", 0, DISK_ERRORS["EIO"])
    for call in REMOTE_CALLS:
        rig.memories[0].faults.add(call, Fault.UNAVAILABLE)

    error = outcome_of(prepared.act)

    assert (error, failure.disarm()) == (None, False)
    rig.memories[0].faults.clear()
    check(rig, prepared, error, name)
    rig.close()


@pytest.mark.sqlite_only
@pytest.mark.parametrize("failing_with", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("name", REQUESTS)
def test_the_nth_call_to_the_database_file_fails(
    tmp_path: Path, name: str, failing_with: type[apsw.Error]
) -> None:
    failure = NthFailure()
    shape = Shape(scheme=Copies(count=2), chunk_bytes=256 * KIB)
    with watched_sqlite(FailingSqlite(failure)):
        rig = ObjectRig(tmp_path / "rig", shape)
        rig.make_bucket(SEALED, seal=Sealing.ALL)

        for call, step in (("database write", 5), ("database sync", 1)):
            for number in range(0, CALL_COUNT_MAX, step):
                prepared = REQUESTS[name](rig, number)
                failure.arm(call, number, failing_with)

                error = outcome_of(prepared.act)

                struck = failure.disarm()
                assert struck or error is None
                check(rig, prepared, error, f"{name}, {call} {number}: {error!r}")
                rig.delete(prepared.key)
                if not struck:
                    break
            else:
                raise AssertionError("it never gets through")
        rig.close()


@pytest.mark.sqlite_only  # The other engine is the one whose way is cut.
@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("name", REQUESTS)
def test_the_way_to_the_database_server_is_cut_at_the_nth_message(
    tmp_path: Path, engine: str, name: str, cut: Cut
) -> None:
    shape = Shape(scheme=Copies(count=2), chunk_bytes=256 * KIB)
    with (
        CutProxy("127.0.0.1", shared_server().port) as proxy,
        metadata_on("postgres", port=proxy.port),
    ):
        rig = ObjectRig(tmp_path / "rig", shape)
        rig.make_bucket(SEALED, seal=Sealing.ALL)
        for number in numbers(engine, CALL_COUNT_MAX):
            prepared = REQUESTS[name](rig, number)
            proxy.arm(cut, after_count=number)

            error = outcome_of(prepared.act)

            struck = proxy.disarm()
            assert struck or error is None
            check(rig, prepared, error, f"{name}, {cut} {number}: {error!r}")
            rig.delete(prepared.key)
            if not struck:
                break
        else:
            raise AssertionError("it never gets through")
        rig.close()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", STORING)
def test_one_remote_store_that_fails_costs_the_client_nothing(
    tmp_path: Path, engine: str, name: str, fault: Fault
) -> None:
    shape = Shape(
        volume_count=0,
        memory_count=3,
        scheme=Copies(count=2),
        chunk_bytes=256 * KIB,
        routing=Routing.PACK,
    )
    rig = ObjectRig(tmp_path / "rig", shape)
    rig.make_bucket(SEALED, seal=Sealing.ALL)
    failing = rig.memories[0]

    for call in REMOTE_CALLS:
        for number in numbers(engine, CALL_COUNT_MAX):
            prepared = REQUESTS[name](rig, number)
            failing.faults.add(call, fault, after_count=number)

            error = outcome_of(prepared.act)

            struck = failing.faults.is_spent()
            failing.faults.clear()
            failing.land_late()
            where = f"{name}, {call} {number}: {error!r}"
            assert error is None, where
            if prepared.new is not None:
                assert pieces_stand_apart(rig, prepared.key), where
            check(rig, prepared, error, where)
            rig.delete(prepared.key)
            if not struck:
                break
        else:
            raise AssertionError("it never gets through")
    rig.close()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("name", STORING)
def test_the_nth_call_to_every_remote_store_fails(
    tmp_path: Path, engine: str, name: str, fault: Fault
) -> None:
    shape = Shape(volume_count=0, memory_count=3, scheme=Copies(count=2), chunk_bytes=256 * KIB)
    rig = ObjectRig(tmp_path / "rig", shape)
    rig.make_bucket(SEALED, seal=Sealing.ALL)

    for call in REMOTE_CALLS:
        for number in numbers(engine, CALL_COUNT_MAX):
            prepared = REQUESTS[name](rig, number)
            for memory in rig.memories:
                memory.faults.add(call, fault, after_count=number)

            error = outcome_of(prepared.act)

            struck = any(memory.faults.is_spent() for memory in rig.memories)
            for memory in rig.memories:
                memory.faults.clear()
                memory.land_late()
            check(rig, prepared, error, f"{name}, {call} {number}: {error!r}")
            rig.delete(prepared.key)
            if not struck:
                break
        else:
            raise AssertionError("it never gets through")
    rig.close()
