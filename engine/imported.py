"""How an object that was there before us is named as a piece: its own key, and the ETag that stands for its bytes.

The ETag is part of the storage key, so every read and deletion of it can be guarded by it, and an object that was
overwritten is another piece. No storage key of ours begins as these do.
"""

from dataclasses import dataclass
from urllib.parse import quote, unquote

_PREFIX = "imported:"
_END = "|"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedObject:
    """An object outside of every prefix of ours. `key` is whole, `etag` stands without quotes."""

    key: str
    etag: str

    @property
    def storage_key(self) -> str:
        return f"{storage_keys_of(self.key)}{quote(self.etag, safe='-')}"


def storage_keys_of(key: str) -> str:
    """What the storage keys of an object begin with, whatever its ETag is, and no other's do."""
    return f"{_PREFIX}{key.replace('%', '%25').replace(_END, '%7C')}{_END}"


def is_imported(storage_key: str) -> bool:
    """Whether the key names an object that was there before us, and not a piece of our own."""
    return storage_key.startswith(_PREFIX)


def read_imported(storage_key: str) -> ImportedObject | None:
    """The object a storage key names; null for a piece of ours."""
    if not is_imported(storage_key):
        return None
    key, _, etag = storage_key.removeprefix(_PREFIX).rpartition(_END)
    return ImportedObject(key=key.replace("%7C", _END).replace("%25", "%"), etag=unquote(etag))


def loggable(storage_key: str) -> str:
    """A storage key as logs tell it: they never tell keys of objects, and the blob's id stands beside it."""
    imported = read_imported(storage_key)
    return storage_key if imported is None else f"{_PREFIX}{_END}{quote(imported.etag, safe='-')}"
