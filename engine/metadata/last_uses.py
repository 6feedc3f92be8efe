"""When access keys and admin tokens were used last: written in batches, and told by no image of the journal."""

import json
from collections.abc import Sequence

from engine.metadata.store import SqlValue, Tx


def note_uses(tx: Tx, *, access_keys: Sequence[str], tokens: Sequence[str], rest_s: float) -> None:
    """Keys by their ids and tokens by their names were used just now. What was noted within `rest_s` stays as it is.

    Names of what is gone by now are left out. Repeating it is harmless.
    """
    now_us = tx.now_us()
    for statement, names in (("note_access_key_uses", access_keys), ("note_admin_token_uses", tokens)):
        if names:
            params: dict[str, SqlValue] = {
                "names": json.dumps(list(names)),
                "now_us": now_us,
                "since_us": now_us - int(rest_s * 1_000_000),
            }
            tx.run(statement, params)
