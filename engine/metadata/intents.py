"""Intents: pieces about to be written to a backend that does not forget, named before a byte leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Tx
from engine.records import Lease
from engine.units import HOUR_S

INTENT_TTL_S = 600
"""An intent that was not renewed for so long is recovered, whoever holds it."""

LATE_WRITE_S = HOUR_S
"""A write that its writer gave up may still land for so long; a key deleted earlier is deleted once more after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A storage key that somebody may have written, or may yet write."""

    intent_id: bytes
    backend_id: int
    storage_key: str


def announce(tx: Tx, *, instance_id: bytes, intents: Sequence[Intent]) -> None:
    """Name pieces before they are written."""
    for each in intents:
        tx.run(
            "insert_intent",
            {
                "intent_id": each.intent_id,
                "backend_id": each.backend_id,
                "storage_key": each.storage_key,
                "instance_id": instance_id,
                "now_us": tx.now_us(),
            },
        )


def renew(tx: Tx, instance_id: bytes) -> int:
    """An instance still holds its intents; how many."""
    return tx.run("renew_intents", {"instance_id": instance_id, "now_us": tx.now_us()})


def renew_each(tx: Tx, intent_ids: Sequence[bytes]) -> int:
    """A process still holds these; how many stand. What it does not name ages, though its instance lives on."""
    now_us = tx.now_us()
    return sum(tx.run("renew_intent", {"intent_id": intent_id, "now_us": now_us}) for intent_id in intent_ids)


def settle(tx: Tx, intent_id: bytes) -> bool:
    """The caller sees to what the intent names; false when recovery has claimed it and does so already."""
    return tx.run("delete_intent", {"intent_id": intent_id}) == 1


def claim_dead(
    tx: Tx,
    *,
    process_id: bytes,
    dead_after_s: float,
    count_max: int,
    lease: Lease | None = None,
    ttl_s: float = INTENT_TTL_S,
) -> list[Intent]:
    """Take intents of dead instances, or not renewed for `ttl_s`, to delete what they name.

    `lease` is what every write of the claimer is fenced by: when it has ended, others may claim what it claimed.
    Without one they may after `ttl_s`.
    """
    now_us = tx.now_us()
    rows = tx.rows(
        "claim_dead_intents",
        {
            "process_id": process_id,
            "lease": None if lease is None else lease.worker,
            "token": None if lease is None else lease.token,
            "now_us": now_us,
            "expired_us": now_us - int(ttl_s * 1_000_000),
            "dead_us": now_us - int(dead_after_s * 1_000_000),
            "stale_us": now_us - int(ttl_s * 1_000_000),
            "count_max": count_max,
        },
    )
    return [
        Intent(
            intent_id=cast(bytes, intent_id),
            backend_id=cast(int, backend_id),
            storage_key=cast(str, storage_key),
        )
        for intent_id, backend_id, storage_key in rows
    ]


def forget(tx: Tx, intent_id: bytes) -> None:
    """What it named is settled; forgetting again is harmless."""
    tx.run("forget_intent", {"intent_id": intent_id})


def count(tx: Tx) -> int:
    return cast(int, tx.row("count_intents", {})[0])
