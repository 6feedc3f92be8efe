"""What each instance says of the requests it serves: one document, replaced every few seconds."""

from dataclasses import dataclass
from typing import cast

from engine.metadata.store import Tx

DOCUMENT_BYTES_MAX = 64 * 1024
INSTANCE_COUNT_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatsRow:
    """One instance's document; who writes it knows what it means."""

    instance_id: bytes
    sampled_at_us: int
    document: bytes


def put_stats(tx: Tx, instance_id: bytes, document: bytes) -> None:
    """In the place of what the instance said before."""
    assert len(document) <= DOCUMENT_BYTES_MAX
    tx.run("upsert_instance_stats", {"instance_id": instance_id, "document": document, "now_us": tx.now_us()})


def list_stats(tx: Tx, *, age_max_s: float) -> list[InstanceStatsRow]:
    """What instances said no longer ago than that, by instance."""
    since_us = tx.now_us() - int(age_max_s * 1_000_000)
    return [
        InstanceStatsRow(
            instance_id=cast(bytes, instance_id),
            sampled_at_us=cast(int, sampled_at_us),
            document=bytes(cast(bytes, document)),
        )
        for instance_id, sampled_at_us, document in tx.rows(
            "list_instance_stats", {"since_us": since_us, "count_max": INSTANCE_COUNT_MAX}
        )
    ]
