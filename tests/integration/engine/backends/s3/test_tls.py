"""Over TLS nothing is sent to a store whose certificate is not trusted, and pieces come back as they went."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.backends.s3.place import S3Place
from engine.errors import BackendUnavailable
from tests.support.certificates import Authority
from tests.support.pieces import payload_of, read_all, tail_of
from tests.support.s3_stores import PenstockStore, make_s3_backend

SIZES = [0, 1000, 700_000]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Place]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder / "authority")
    store = PenstockStore(folder / "penstock")
    store.served.speak_tls(authority.issue("server"), authority.ca)
    with store:
        yield replace(store.place, ca=authority.ca, prefix="pieces-over-tls")


def test_pieces_go_and_come_over_tls(place: S3Place) -> None:
    backend = make_s3_backend(place)
    backend.register(created_at_us=1_700_000_000_000_000)
    for number, size_bytes in enumerate(SIZES):
        payload = payload_of(size_bytes)
        tail = tail_of(payload)

        held = backend.store(memoryview(payload), tail, storage_key=f"pieces/aa/{number}")
        writer = backend.open_writer(size_bytes, len(tail.card), storage_key=f"pieces/bb/{number}")
        writer.write(memoryview(payload))
        streamed = writer.finish(tail)

        assert read_all(backend, held, size_bytes) == read_all(backend, streamed, size_bytes) == payload
        assert backend.read_tail(streamed.storage_key, size_bytes) == tail
    backend.close()


def test_a_certificate_of_an_authority_that_is_not_trusted_is_refused(place: S3Place, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")

    for ca in (None, stranger.ca):
        backend = make_s3_backend(replace(place, ca=ca))
        with pytest.raises(BackendUnavailable, match="certificate is not trusted"):
            backend.check_identity()
        backend.close()


def test_a_certificate_of_another_host_is_refused(place: S3Place) -> None:
    backend = make_s3_backend(replace(place, endpoint=place.endpoint.replace("127.0.0.1", "127.0.0.2")))

    with pytest.raises(BackendUnavailable):
        backend.check_identity()
    backend.close()
