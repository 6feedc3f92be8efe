"""A process whose files may not grow past a size that moves byte by byte through SQLite's log; checks what is left."""

import resource
import sys
from functools import partial
from pathlib import Path

from engine.errors import DatabaseUnavailable, OutcomeUnknown
from engine.metadata import journal
from engine.metadata.store import Tx
from tests.support.metadata import open_sqlite, run_sql

STEP_BYTES = 1000
STEP_COUNT = 40


def main() -> None:
    """Argument: directory. Prints what callers were told; fails when a row is there that must not, or lacks."""
    folder = Path(sys.argv[1])
    store = open_sqlite(folder)
    store.write(partial(journal.append, kind="first", image={}))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    acknowledged: list[str] = []
    doubtful: list[str] = []
    refused: list[str] = []
    for number in range(STEP_COUNT):
        log_bytes = max(each.stat().st_size for each in folder.iterdir())
        kind = f"n{number}"
        resource.setrlimit(resource.RLIMIT_FSIZE, (log_bytes + number * STEP_BYTES, hard))
        try:
            store.write(partial(_grow, kind=kind))
        except OutcomeUnknown as error:
            doubtful.append(kind)
            print(kind, type(error).__name__)
        except DatabaseUnavailable as error:
            refused.append(kind)
            print(kind, type(error).__name__)
        else:
            acknowledged.append(kind)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        there = {str(row[0]) for row in run_sql(store, "SELECT kind FROM journal")}
        halves = run_sql(store, "SELECT kind FROM journal GROUP BY kind HAVING COUNT(*) NOT IN (1, 30)")
        assert halves == [], halves
        assert set(acknowledged) <= there, set(acknowledged) - there
        assert not set(refused) & there, set(refused) & there
    assert acknowledged
    assert store.quick_check() == []
    store.close()
    print(len(acknowledged), "acknowledged", len(doubtful), "unknown", len(refused), "refused")


def _grow(tx: Tx, kind: str) -> None:
    for _ in range(30):
        journal.append(tx, kind, {"padding": "x" * 1000})


if __name__ == "__main__":
    main()
