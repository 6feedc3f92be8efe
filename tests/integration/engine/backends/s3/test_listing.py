"""Pages of a real store follow each other to the end, behind tokens and behind keys, and its requests are counted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.backends.s3.client import S3Client
from engine.backends.s3.listing import list_page
from engine.backends.s3.place import S3Place
from engine.clock import SystemClock
from engine.errors import ForeignBackend
from engine.records import UsageKind
from tests.support.pieces import payload_of, tail_of
from tests.support.s3_stores import PenstockStore, RcloneStore, make_s3_backend
from tests.support.volumes import NAME

KEYS = [f"pieces/{number:02x}/{number:032x}" for number in range(10)]


@pytest.fixture(scope="module", params=["penstock", "rclone"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Place]:
    """A store with ten pieces below a prefix, and one beside it."""
    folder: Path = tmp_path_factory.mktemp("store")
    with PenstockStore(folder) if request.param == "penstock" else RcloneStore(folder) as store:
        for prefix, keys in (("main", KEYS), ("mainly", KEYS[:1])):
            backend = make_s3_backend(replace(store.place, prefix=prefix))
            for key in keys:
                payload = payload_of(10)
                backend.store(memoryview(payload), tail_of(payload), storage_key=key)
            backend.close()
        yield replace(store.place, prefix="main")


def test_pages_follow_each_other_to_the_end(place: S3Place) -> None:
    used: Counter[UsageKind] = Counter()
    client = S3Client(place, clock=SystemClock(), before_request=lambda kind: used.update([kind]))
    found: list[str] = []
    token: str | None = None
    while True:
        page = list_page(client, place, NAME, token=token, after="", count_max=3)
        found += [each.key for each in page.objects]
        token = page.next_token
        if token is None:
            break

    assert sorted(found) == KEYS
    assert used == {UsageKind.WRITE_REQUESTS: 4}
    client.close()


def test_a_key_is_a_beginning_where_keys_are_in_order(place: S3Place) -> None:
    client = S3Client(place, clock=SystemClock())

    page = list_page(client, place, NAME, token=None, after=KEYS[3], count_max=3)

    assert [each.key for each in page.objects] == KEYS[4:7] or place.preset != "penstock"
    client.close()


def test_a_bucket_that_is_not_there_is_another_one(place: S3Place) -> None:
    elsewhere = replace(place, bucket="nobody-has-this")
    client = S3Client(elsewhere, clock=SystemClock())

    with pytest.raises(ForeignBackend):
        list_page(client, elsewhere, NAME, token=None, after="")
    client.close()
