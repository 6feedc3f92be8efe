"""Switches of the whole deployment, turned by operators and heeded by every process."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Params, Row, Tx

FIND = "find_switch"
READ_ONLY: Params = {"name": "read_only"}
"""While it is on, clients of the data plane write nothing; workers and operators go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """How a switch was turned last, and by whom."""

    is_on: bool
    reason: str
    changed_by: str
    changed_at_us: int


def find_read_only(tx: Tx) -> Switch | None:
    """Null while nobody ever turned it; it is off then."""
    row = tx.row_or_none(FIND, READ_ONLY)
    return None if row is None else read_switch(row)


def turn_read_only(tx: Tx, *, is_on: bool, reason: str, changed_by: str) -> Switch:
    """Turn it, and tell every process. Repeating it is harmless."""
    turned: Params = {
        **READ_ONLY,
        "is_on": int(is_on),
        "reason": reason,
        "changed_by": changed_by,
        "now_us": tx.now_us(),
    }
    tx.run("turn_switch", turned)
    tx.tell()
    return Switch(is_on=is_on, reason=reason, changed_by=changed_by, changed_at_us=tx.now_us())


def read_switch(row: Row) -> Switch:
    """A row of `find_switch`."""
    is_on, reason, changed_by, changed_at_us = row
    return Switch(
        is_on=bool(is_on),
        reason=cast(str, reason),
        changed_by=cast(str, changed_by),
        changed_at_us=cast(int, changed_at_us),
    )
