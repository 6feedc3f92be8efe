"""Audit events past their time are dropped from the begin of their chain, and an anchor ties what stays to them.

An anchor bears the hash of an event that was dropped and that one which stays follows. It is sealed as events are: who
can write to the database alone cannot make the begin of a chain go away.
"""

import json
from dataclasses import dataclass
from typing import cast

from engine.metadata.audit import Seal
from engine.metadata.store import SqlValue, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """An event that was dropped, and when."""

    hash: bytes
    event_seq: int
    instance_id: bytes
    dropped_at_us: int
    seal: bytes

    @property
    def covered(self) -> bytes:
        """What the seal is over: no event's begins like this."""
        told = ["dropped", self.hash.hex(), self.event_seq, self.instance_id.hex(), self.dropped_at_us]
        return json.dumps(told, separators=(",", ":")).encode()


def old_events(tx: Tx, *, instance_id: bytes, keep_s: float, count_max: int) -> list[int]:
    """Numbers of the first events of a chain that are older than that. The last one of a chain stays for ever."""
    params: dict[str, SqlValue] = {
        "instance_id": instance_id,
        "before_us": tx.now_us() - int(keep_s * 1_000_000),
        "count_max": count_max,
    }
    return [cast(int, number) for (number,) in tx.rows("list_old_audit_events", params)]


def drop_old(tx: Tx, *, instance_id: bytes, keep_s: float, count_max: int, seal: Seal) -> int:
    """Drop the first events of a chain that are older than that, and anchor what stays; how many there were."""
    old = old_events(tx, instance_id=instance_id, keep_s=keep_s, count_max=count_max)
    if not old:
        return 0
    chain: dict[str, SqlValue] = {"instance_id": instance_id, "last": old[-1]}
    now_us = tx.now_us()
    for event_seq, hash_ in tx.rows("list_followed_audit_events", chain):
        anchor = Anchor(
            hash=cast(bytes, hash_),
            event_seq=cast(int, event_seq),
            instance_id=instance_id,
            dropped_at_us=now_us,
            seal=b"",
        )
        tx.run(
            "insert_audit_anchor",
            {
                "hash": anchor.hash,
                "event_seq": anchor.event_seq,
                "instance_id": instance_id,
                "now_us": now_us,
                "seal": seal(anchor.covered),
            },
        )
    tx.run("delete_audit_events", chain)
    tx.run("delete_unfollowed_audit_anchors", {})
    return len(old)


def find_anchor(tx: Tx, value: bytes) -> Anchor | None:
    """Of the event that bore that hash."""
    row = tx.row_or_none("find_audit_anchor", {"hash": value})
    if row is None:
        return None
    hash_, event_seq, instance_id, dropped_at_us, seal = row
    return Anchor(
        hash=cast(bytes, hash_),
        event_seq=cast(int, event_seq),
        instance_id=cast(bytes, instance_id),
        dropped_at_us=cast(int, dropped_at_us),
        seal=cast(bytes, seal),
    )
