"""The journal: every changing transaction leaves a compact after-image of what it changed."""

import json
from collections.abc import Iterable, Mapping

from engine.metadata.images import RowKind
from engine.metadata.store import Params, Tx

DROP_COUNT_MAX = 500


def append(tx: Tx, kind: str, image: Mapping[str, object]) -> None:
    """`kind` names what the image is of; bytes go in as hex, nulls not at all."""
    append_all(tx, kind, [image])


def append_all(tx: Tx, kind: str, images: Iterable[Mapping[str, object]]) -> None:
    """As `append`, of one image after the other."""
    now_us = tx.now_us()
    tx.ask_many(
        "insert_journal", [{"kind": kind, "payload": _payload(image), "now_us": now_us} for image in images]
    )


def append_row(tx: Tx, kind: RowKind, named: Params) -> None:
    """The image of a row as it stands now, in the transaction that changed it. For rows that change seldom."""
    append(tx, kind.name, kind.write(tx.row(kind.reads, named)))


def _payload(image: Mapping[str, object]) -> str:
    told = {name: value for name, value in image.items() if value is not None}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def drop_older(tx: Tx, *, than_us: int, count_max: int = DROP_COUNT_MAX) -> int:
    """Drop the oldest images before a time; how many went."""
    return tx.run("delete_old_journal", {"before_us": than_us, "count_max": count_max})
