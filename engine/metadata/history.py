"""A bucket's history: every version and marker of its keys, newest first, with common prefixes by skip-scan."""

from typing import cast

from engine.metadata.buckets import find_bucket
from engine.metadata.listing import BATCH_COUNT_FIRST, LISTED_COLUMN_COUNT, read_listed, start_of, successor
from engine.metadata.store import Row, SqlValue, Tx
from engine.names import BucketName
from engine.records import HISTORY_START, HistoryEntry, HistoryPage, HistoryPosition


def list_history(
    tx: Tx, *, bucket: BucketName, prefix: bytes, delimiter: bytes, after: HistoryPosition, count_max: int
) -> HistoryPage:
    """A page of versions by key and then newest first; versions and common prefixes together count against `count_max`.

    `after` is exclusive: behind one version of its key where it names one, behind all of the key otherwise. A version
    that is named without its number and is gone lets the page begin with its key again, so that none is passed over.
    Raises NoSuchBucket.
    """
    bucket_id = find_bucket(tx, bucket).bucket_id
    if count_max == 0:
        return HistoryPage(entries=(), common_prefixes=(), next_after=None)
    first = BATCH_COUNT_FIRST if delimiter else count_max + 1
    scan = _Scan(tx, bucket_id, before=successor(prefix), batch_count_first=first, count_max=count_max + 1)
    scan.begin(prefix, delimiter, after)
    entries: list[HistoryEntry] = []
    prefixes: list[bytes] = []
    last = HISTORY_START
    while (row := scan.next()) is not None:
        if len(entries) + len(prefixes) == count_max:
            return HistoryPage(entries=entries, common_prefixes=prefixes, next_after=last)
        key = cast(bytes, row[0])
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut >= 0:
            folded = key[: cut + len(delimiter)]
            prefixes.append(folded)
            last = HistoryPosition(key=folded)
            scan.seek(folded)
        else:
            entry = _read(row)
            entries.append(entry)
            last = HistoryPosition(key=key, version_id=entry.version_id, version_seq=entry.version_seq)
    return HistoryPage(entries=entries, common_prefixes=prefixes, next_after=None)


class _Scan:
    """Rows of the history in order, fetched in batches that grow as long as nothing is passed over."""

    def __init__(
        self, tx: Tx, bucket_id: int, *, before: bytes, batch_count_first: int, count_max: int
    ) -> None:
        self._tx = tx
        self._bucket_id = bucket_id
        self._before = before
        self._count_max = count_max
        self._batch_count_first = min(batch_count_first, count_max)
        self._batch_count = self._batch_count_first
        self._statement = ""
        self._params: dict[str, SqlValue] = {}
        self._rows: list[Row] = []
        self._index = 0
        self._asked_count = 0

    def begin(self, prefix: bytes, delimiter: bytes, after: HistoryPosition) -> None:
        is_inclusive, position = start_of(prefix, delimiter, after.key)
        if after.version_id is None or is_inclusive or not position.startswith(prefix):
            self._from(position, is_inclusive=is_inclusive)
            return
        version_seq = after.version_seq
        if version_seq is None:
            named: dict[str, SqlValue] = {
                "bucket_id": self._bucket_id,
                "object_key": position,
                "version_id": after.version_id,
            }
            found = self._tx.row_or_none("find_version_for_write", named)
            version_seq = None if found is None else cast(int, found[0])
        if version_seq is None:
            self._from(position, is_inclusive=True)
        else:
            self._behind(position, version_seq)

    def next(self) -> Row | None:
        """The next row; null at the end."""
        while self._index == len(self._rows):
            if self._rows and self._asked_count == len(self._rows):
                # A full batch may have ended within a key.
                last = self._rows[-1]
                self._behind(cast(bytes, last[0]), cast(int, last[LISTED_COLUMN_COUNT]))
            elif self._asked_count:
                if self._statement != "list_history_of_key":
                    return None
                self._from(cast(bytes, self._params["object_key"]), is_inclusive=False)
            self._fetch()
        row = self._rows[self._index]
        self._index += 1
        return row

    def seek(self, folded: bytes) -> None:
        """Go on behind everything that begins so."""
        self._batch_count = self._batch_count_first
        self._from(successor(folded), is_inclusive=True)

    def _from(self, position: bytes, *, is_inclusive: bool) -> None:
        self._set(
            "list_history_from" if is_inclusive else "list_history",
            {"after": position, "before": self._before},
        )

    def _behind(self, key: bytes, version_seq: int) -> None:
        self._set("list_history_of_key", {"object_key": key, "before_seq": version_seq})

    def _set(self, statement: str, params: dict[str, SqlValue]) -> None:
        self._statement = statement
        self._params = {"bucket_id": self._bucket_id, **params}
        self._rows, self._index, self._asked_count = [], 0, 0

    def _fetch(self) -> None:
        self._asked_count = self._batch_count
        self._rows = self._tx.rows(self._statement, {**self._params, "count_max": self._batch_count})
        self._index = 0
        self._batch_count = min(self._batch_count * 2, self._count_max)


def _read(row: Row) -> HistoryEntry:
    version_seq, version_id, is_current, is_delete_marker = row[LISTED_COLUMN_COUNT:]
    return HistoryEntry(
        listed=read_listed(row[:LISTED_COLUMN_COUNT]),
        version_seq=cast(int, version_seq),
        version_id=cast(str, version_id),
        is_current=bool(is_current),
        is_delete_marker=bool(is_delete_marker),
    )
