"""A process that writes units of two rows and says which were acknowledged, until it is killed or kills itself."""

from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from engine.metadata import journal
from engine.metadata.store import Tx
from tests.integration.engine.metadata.sqlite.crowd import WAIT_S
from tests.integration.engine.metadata.sqlite.faulty import Rig, dies
from tests.support.metadata import open_sqlite

HALVES = ("left", "right")


def write_both(tx: Tx, number: int) -> None:
    for half in HALVES:
        journal.append(tx, half, {"number": number})


def write_until_killed(folder: Path, first: int, acknowledged: "Connection[int, int]") -> None:
    """Send the number of each unit that was acknowledged."""
    store = open_sqlite(folder)
    number = first
    while True:
        store.write(partial(write_both, number=number))
        acknowledged.send(number)
        number += 1


def die_at(
    folder: Path, first: int, acknowledged: "Connection[int, int]", statement: int, is_after: bool
) -> None:
    """Write one unit, then another that ends the process around its n-th statement."""
    rig = Rig(folder)
    rig.committer.run(partial(write_both, number=first), (), WAIT_S)
    acknowledged.send(first)
    rig.connection.arm(**{"after" if is_after else "before": {statement: dies}})
    rig.committer.run(partial(write_both, number=first + 1), (), WAIT_S)
    acknowledged.send(first + 1)


def open_and_tell(folder: Path, opened: "Connection[str, str]") -> None:
    """Open a database that others open at the same moment; an empty text when all is well."""
    try:
        open_sqlite(folder).close()
    except BaseException as error:
        opened.send(repr(error))
        raise
    opened.send("")
