"""A prefix is made ours once, while it is empty, and compared ever after."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

import pytest

from engine.backends.s3.backend import S3Backend
from engine.backends.s3.identity import check_vacant
from engine.backends.s3.place import S3Place
from engine.clock import SystemClock, uuid7
from engine.errors import BackendTimeout, BackendUnavailable, ForeignBackend
from tests.support.pieces import payload_of, tail_of
from tests.support.s3_stores import PenstockStore, RcloneStore, make_s3_backend
from tests.support.volumes import NAME

NOW_US = 1_700_000_000_000_000
OTHER_ID = b"another backend!"

Make = Callable[..., S3Backend]


@pytest.fixture(scope="module", params=["penstock", "rclone"])
def store_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Place]:
    folder = tmp_path_factory.mktemp(request.param)
    with (PenstockStore if request.param == "penstock" else RcloneStore)(folder) as store:
        yield store.place


@pytest.fixture
def place(store_place: S3Place) -> S3Place:
    """An empty prefix of its own."""
    return replace(store_place, prefix=f"t/{uuid7().hex()}")


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes backends, which are closed at the end."""
    with ExitStack() as closing:

        def make_one(place: S3Place, **options: Any) -> S3Backend:
            backend = make_s3_backend(place, **options)
            closing.callback(backend.close)
            return backend

        yield make_one


def test_registering_again_and_at_once_leaves_one_identity(place: S3Place, make: Make) -> None:
    backends = [make(place) for _ in range(6)]

    def register(backend: S3Backend) -> None:
        for _ in range(10):
            with suppress(BackendUnavailable, BackendTimeout):
                return backend.register(created_at_us=NOW_US)
            # rclone fails reads and writes of an object that is just being replaced; a deployment asks again, too.
            time.sleep(0.1)
        raise AssertionError("not registered in ten attempts")

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(register, backends))

    for backend in backends:
        backend.check_identity()


def test_of_two_that_want_a_prefix_at_most_one_keeps_it(place: S3Place, make: Make) -> None:
    ours, theirs = make(place), make(place, identity_id=OTHER_ID)
    ours.register(created_at_us=NOW_US)

    with pytest.raises(ForeignBackend, match="another deployment or backend"):
        theirs.register(created_at_us=NOW_US)
    with pytest.raises(ForeignBackend):
        theirs.check_identity()
    with pytest.raises(ForeignBackend):
        theirs.remove_identity()

    ours.check_identity()
    with pytest.raises(ForeignBackend, match="not empty"):
        check_vacant(place, NAME, SystemClock())


def test_a_prefix_with_somebodys_objects_is_left_as_it_is(place: S3Place, make: Make) -> None:
    there = make(place)
    there.store(memoryview(b"x"), tail_of(b"x"), storage_key="holiday.jpg")

    with pytest.raises(ForeignBackend, match=r"holiday\.jpg"):
        make(place, identity_id=OTHER_ID).register(created_at_us=NOW_US)
    with pytest.raises(ForeignBackend, match="is missing"):
        there.check_identity()


def test_what_lies_beside_the_prefix_is_nobodys_business(place: S3Place, make: Make) -> None:
    make(replace(place, prefix=f"{place.prefix}-beside")).register(created_at_us=NOW_US)
    ours = make(place)

    ours.register(created_at_us=NOW_US)

    ours.check_identity()


def test_a_prefix_given_up_can_be_taken_again(place: S3Place, make: Make) -> None:
    ours = make(place)
    ours.register(created_at_us=NOW_US)

    ours.remove_identity()
    ours.remove_identity()

    with pytest.raises(ForeignBackend):
        ours.check_identity()
    check_vacant(place, NAME, SystemClock())
    make(place, identity_id=OTHER_ID).register(created_at_us=NOW_US)


def test_a_piece_lost_from_a_store_that_is_ours_no_more_is_not_taken_for_lost(
    place: S3Place, make: Make
) -> None:
    ours = make(place)
    ours.register(created_at_us=NOW_US)
    payload = payload_of(1000)
    ours.store(memoryview(payload), tail_of(payload), storage_key="pieces/aa/01")
    ours.remove_identity()
    ours.delete("pieces/aa/01", 10)

    with pytest.raises(ForeignBackend):
        ours.open_reader("pieces/aa/01", 1000).read_into(0, memoryview(bytearray(10)))
    with pytest.raises(ForeignBackend):
        ours.read_tail("pieces/aa/01", 1000)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"bucket": "no-such-bucket-here"}, ForeignBackend),
        ({"secret_access_key": "a-secret-that-is-wrong"}, BackendUnavailable),
        ({"access_key_id": "AKIANOBODY"}, BackendUnavailable),
    ],
    ids=["bucket", "secret", "key"],
)
def test_a_wrong_bucket_and_wrong_keys_write_nothing(
    place: S3Place, make: Make, change: dict[str, Any], kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        make(replace(place, **change)).register(created_at_us=NOW_US)

    check_vacant(place, NAME, SystemClock())
