"""Two processes on one database, and what must hold of its rows when both are done."""

from dataclasses import dataclass
from functools import partial

from engine.errors import (
    NoSuchKey,
)
from engine.metadata import (
    versions,
)
from engine.metadata.store import Store
from engine.names import ObjectKey
from engine.records import Bucket
from tests.support.metadata import (
    assert_consistent,
    reap_all,
)

KEY = ObjectKey(b"one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """Two processes on one database, a bucket, a backend."""

    near: Store
    far: Store
    bucket: Bucket
    backend_id: int


def etag(store: Store, key: bytes = KEY) -> str | None:
    try:
        return store.read(partial(versions.find_current, bucket="photos", key=key)).version.etag
    except NoSuchKey:
        return None


def settled(two: Two) -> None:
    """Both processes see consistent rows, before and after the reaper."""
    assert_consistent(two.near)
    reap_all(two.far)
    assert_consistent(two.far)
