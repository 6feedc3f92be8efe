"""After an unclean stop the database is looked through beside the requests; a damaged one is only read, and says so."""

import signal
import time
from collections.abc import Callable

import apsw
import pytest

from engine.errors import DatabaseUnavailable, StartRefused
from engine.metadata.accounts import ensure_account
from engine.metadata.deployments import note_time, read_deployment
from engine.metadata.sqlite.doubt import Doubt
from engine.records import Origin
from tests.integration.engine.deployment.conftest import Open, Site
from tests.integration.engine.deployment.starts import Starter
from tests.support.metadata import DATABASE, open_sqlite

WAIT_S = 20.0
UNUSED_TABLE = "mirror_queue"


def wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def die(site: Site, starter: Starter) -> None:
    """A process is killed over an open database."""
    step = "after engine.metadata.processes.register"
    assert starter.start_until(site.config, step).status == -signal.SIGKILL


def root_page(site: Site) -> tuple[int, int]:
    """Where a table that nothing reads begins in the database file, and its length."""
    connection = apsw.Connection(str(site.database), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchall()[0]
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = connection.execute(sql, (UNUSED_TABLE,)).fetchall()[0]
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        connection.close()
    assert isinstance(page, int)
    assert isinstance(page_bytes, int)
    return (page - 1) * page_bytes, page_bytes


def overwrite(site: Site, offset: int, data: bytes) -> bytes:
    """What stood there before."""
    with site.database.open("r+b") as file:
        file.seek(offset)
        before = file.read(len(data))
        file.seek(offset)
        file.write(data)
    return before


def test_a_clean_stop_leaves_no_doubt(site: Site, opened: Open) -> None:
    opened().close()

    opened().tick()

    assert not Doubt(site.database).take()
    assert not site.database.with_name("metadata.sqlite-doubt").exists()


def test_a_whole_database_is_written_to_while_it_is_looked_through(
    site: Site, opened: Open, starter: Starter
) -> None:
    die(site, starter)

    deployment = opened()

    deployment.store.write(note_time)
    wait_until(lambda: not site.database.with_name("metadata.sqlite-doubt").exists())
    deployment.tick()
    deployment.store.write(note_time)


def test_a_damaged_database_is_only_read_by_every_process_and_through_restarts(
    site: Site, opened: Open, starter: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    die(site, starter)
    offset, page_bytes = root_page(site)
    good = overwrite(site, offset, b"\xff" * page_bytes)

    first, second = opened(), opened()
    wait_until(lambda: Doubt(site.database).finding() is not None)
    for deployment in (first, second):
        deployment.tick()

        with pytest.raises(DatabaseUnavailable, match="damaged and only read: "):
            deployment.store.write(note_time)
        assert deployment.store.read(read_deployment) is not None
        deployment.close()

    assert any(each.message == "database.read_only" for each in caplog.records)

    third = opened()
    wait_until(lambda: Doubt(site.database).finding() is not None)
    third.tick()
    with pytest.raises(DatabaseUnavailable, match="damaged"):
        third.store.write(note_time)
    third.close()

    overwrite(site, offset, good)
    mended = opened()
    wait_until(lambda: not site.database.with_name("metadata.sqlite-doubt").exists())
    mended.tick()
    mended.store.write(note_time)


def test_a_check_can_be_called_off(site: Site, opened: Open) -> None:
    opened().close()
    store = site.store()

    with pytest.raises(DatabaseUnavailable, match="called off"):
        store.quick_check(lambda: True)

    assert store.quick_check(lambda: False) == []
    store.close()


def test_a_store_that_refuses_writes_still_reads_and_may_take_it_back(site: Site) -> None:
    store = open_sqlite(site.folder)
    store.refuse_writes("for a reason")

    with pytest.raises(DatabaseUnavailable, match="for a reason"):
        store.write(lambda tx: ensure_account(tx, "main", Origin.CONFIG))
    assert store.read(lambda tx: tx.row_or_none("find_account", {"name": "main"})) is None

    store.refuse_writes(None)
    store.write(lambda tx: ensure_account(tx, "main", Origin.CONFIG))
    store.close()
    assert (site.folder / DATABASE).exists()


def test_a_file_that_is_no_database_refuses_by_name(site: Site, opened: Open) -> None:
    site.database.write_bytes(b"these are my notes, not a database\n" * 200)

    with pytest.raises(StartRefused, match=r"metadata\.sqlite cannot be opened"):
        opened()
