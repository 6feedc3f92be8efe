"""The journal: every changing transaction leaves a compact after-image of what it changed."""

import json
from collections.abc import Mapping

from engine.metadata.store import Tx

DROP_COUNT_MAX = 500


def append(tx: Tx, kind: str, image: Mapping[str, object]) -> None:
    """`kind` names what the image is of; bytes go in as hex."""
    payload = json.dumps(image, separators=(",", ":"), ensure_ascii=False)
    tx.run("insert_journal", {"kind": kind, "payload": payload, "now_us": tx.now_us()})


def drop_older(tx: Tx, *, than_us: int, count_max: int = DROP_COUNT_MAX) -> int:
    """Drop the oldest images before a time; how many went."""
    return tx.run("delete_old_journal", {"before_us": than_us, "count_max": count_max})
