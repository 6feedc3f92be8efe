"""What is remembered for an outage: bounded, shared, thrown away when damaged, and never older than allowed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from engine.errors import DatabaseUnavailable
from engine.metadata.remembered import ENTRY_BYTES_MAX, Remembered, RememberedFile, RememberedRows
from engine.metadata.store import Params, Row, Store, Tx
from engine.metadata.versions import look_up_rows
from engine.names import BucketName, ObjectKey
from engine.objects.degradations import Degradation, Degradations
from engine.objects.degraded import REFRESH_S, DegradedReads
from tests.support.metadata import SetClock, make_backend, make_bucket, open_sqlite, put

BUCKET, KEY = BucketName("photos"), ObjectKey(b"one")
ROWS = RememberedRows(version=((1, "a", b"\0\xff", None, 1.5),), slices=((2, b"x"),), pieces=(((3, "k"),),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "remembered.sqlite"


@pytest.fixture
def file(path: Path) -> Iterator[RememberedFile]:
    opened = RememberedFile(path, entry_count_max=10)
    yield opened
    opened.close()


def remember(file: RememberedFile, key: bytes, *, rows: RememberedRows = ROWS, confirmed_us: int = 1) -> None:
    file.put([("b", key, Remembered(rows=rows, confirmed_us=confirmed_us))])


def test_rows_come_back_as_they_were_in_every_process(file: RememberedFile, path: Path) -> None:
    other = RememberedFile(path)

    remember(file, b"\xff\0", confirmed_us=7)
    file.note_reached(9)

    found = other.find("b", b"\xff\0")
    assert found is not None
    assert (found.rows, found.confirmed_us) == (ROWS, 7)
    assert other.reached_us() == 9
    assert other.find("b", b"other") is None
    assert path.stat().st_mode & 0o777 == 0o600
    other.close()


def test_the_oldest_go_beyond_the_bound(file: RememberedFile) -> None:
    for number in range(25):
        remember(file, b"%d" % number, confirmed_us=number)

    assert file.count() <= 10
    assert file.find("b", b"24") is not None
    assert file.find("b", b"0") is None


def test_what_is_too_large_is_not_kept(file: RememberedFile) -> None:
    large = RememberedRows(version=((b"x" * ENTRY_BYTES_MAX,),))

    remember(file, b"large", rows=large)
    remember(file, b"small")

    assert file.find("b", b"large") is None
    assert file.find("b", b"small") is not None


def test_what_the_database_says_is_gone_is_forgotten(file: RememberedFile) -> None:
    remember(file, b"k")

    file.forget([("b", b"k", 1), ("b", b"unknown", 1)])

    assert file.find("b", b"k") is None


def test_what_is_older_changes_nothing_that_is_newer(file: RememberedFile) -> None:
    newer = RememberedRows(version=((2,),))
    remember(file, b"k", rows=newer, confirmed_us=20)

    remember(file, b"k", confirmed_us=10)
    file.forget([("b", b"k", 19)])

    found = file.find("b", b"k")
    assert found is not None
    assert (found.rows, found.confirmed_us) == (newer, 20)


def damage(path: Path) -> None:
    path.write_bytes(b"no database at all" * 500)


def other_layout(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 99")
    connection.close()


@pytest.mark.parametrize("harm", [damage, other_layout])
def test_a_file_that_cannot_be_understood_is_made_anew(path: Path, harm: Callable[[Path], None]) -> None:
    before = RememberedFile(path)
    remember(before, b"k")
    before.close()
    harm(path)

    after = RememberedFile(path)

    assert after.find("b", b"k") is None
    remember(after, b"k", confirmed_us=2)
    assert after.find("b", b"k") is not None
    after.close()


def test_a_file_that_cannot_be_made_knows_nothing_and_raises_nothing(tmp_path: Path) -> None:
    file = RememberedFile(tmp_path / "no" / "folder")

    remember(file, b"k")
    file.note_reached(1)

    assert file.find("b", b"k") is None
    assert file.reached_us() is None
    file.close()


class AwayStore:
    """A store whose database goes away when told to."""

    waits_for_network = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_away = False
        self.write, self.close = store.write, store.close

    def look(self, statement: str, params: Params, /) -> list[Row]:
        if self.is_away:
            raise DatabaseUnavailable("away")
        return self._store.look(statement, params)

    def read(self, unit, /):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise DatabaseUnavailable("away")
        return self._store.read(unit)


class Clocks(SetClock):
    """Both clocks move together."""

    def monotonic_s(self) -> float:
        return self.now_us() / 1_000_000


class Rig:
    """One object, read once, behind a memory of fifteen minutes."""

    def __init__(self, folder: Path, file: RememberedFile) -> None:
        self.clock = Clocks()
        self.store = AwayStore(open_sqlite(folder, clock=self.clock))
        self.degradations = Degradations()
        bucket = make_bucket(self.store)
        put(self.store, bucket, KEY, make_backend(self.store, kind="memory"))
        self.memory = DegradedReads(
            file,
            self.store,
            self.clock,
            self.degradations,
            age_max_s=900,
            is_reached=lambda: not self.store.is_away,
        )

    def read(self) -> None:
        self.memory.note(BUCKET, KEY, look_up_rows(self.store, BUCKET, KEY))

    def served_age_s(self) -> float | None:
        """How old what is served is; null when nothing is."""
        try:
            return self.memory.find(BUCKET, KEY, DatabaseUnavailable("away")).degraded_age_s
        except DatabaseUnavailable:
            return None


@pytest.fixture
def rig(tmp_path: Path, file: RememberedFile) -> Iterator[Rig]:
    made = Rig(tmp_path, file)
    yield made
    made.store.close()


def test_what_was_confirmed_shortly_before_the_outage_serves_for_as_long_as_it_lasts(rig: Rig) -> None:
    rig.read()
    rig.memory.tick()
    rig.store.is_away = True

    rig.clock.move(5 * 24 * 3600)
    rig.memory.tick()

    assert rig.served_age_s() == 5 * 24 * 3600
    assert rig.degradations.counts()[Degradation.SERVED_WITHOUT_DATABASE] == 1


def test_what_was_confirmed_long_before_the_outage_does_not_serve(rig: Rig) -> None:
    rig.read()
    rig.memory.tick()
    rig.clock.move(901)
    rig.memory.tick()

    rig.store.is_away = True

    assert rig.served_age_s() is None


def test_a_database_that_is_there_is_never_stood_in_for(rig: Rig) -> None:
    rig.read()
    rig.memory.tick()

    assert rig.served_age_s() is None


def test_a_key_is_written_down_once_a_minute_however_often_it_is_read(rig: Rig) -> None:
    for _ in range(5):
        rig.read()
    rig.memory.tick()
    rig.clock.move(REFRESH_S - 1)
    rig.read()
    rig.memory.tick()
    rig.store.is_away = True
    assert rig.served_age_s() == REFRESH_S - 1

    rig.store.is_away = False
    rig.clock.move(1)
    rig.read()
    rig.memory.tick()
    rig.store.is_away = True
    assert rig.served_age_s() == 0


def test_a_unit_of_its_own_is_run_for_nothing_that_one_statement_told(rig: Rig) -> None:
    rig.read()
    units: list[Callable[[Tx], object]] = []
    rig.store.read = units.append  # type: ignore[method-assign]

    rig.memory.tick()

    assert units == []


def test_what_was_said_before_an_outage_is_as_old_as_that_when_it_is_written_down_behind_it(rig: Rig) -> None:
    rig.read()
    rig.store.is_away = True
    rig.memory.tick()
    rig.clock.move(3600)
    rig.store.is_away = False
    rig.memory.tick()

    rig.store.is_away = True

    assert rig.served_age_s() is None
