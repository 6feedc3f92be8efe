"""Uploads and downloads of many large objects at once through S3 backends take a bounded memory.

Two copies of each, on two stores. `PENSTOCK_FAR_UPLOADS=200` runs the long form: as many of 64 MiB each.
"""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tests.chaos.test_memory import GIB, MIB, LargeBody, Peaks, at_once, download, upload
from tests.conformance.s3.wire import Wire
from tests.support.one_body_store import OneBodyStore
from tests.support.raw_http import Answer
from tests.support.served import Served

LONG_COUNT = os.environ.get("PENSTOCK_FAR_UPLOADS")
COUNT = int(LONG_COUNT or 30)
SIZE_BYTES = 64 * MIB if LONG_COUNT else 3 * MIB
PEAK_BYTES_MAX = 3 * GIB // 2 if LONG_COUNT else 400 * MIB
"""Of all processes of the data plane together, the arbiter among them."""

BUCKET = "far-memory"

pytestmark = pytest.mark.timeout(2400 if LONG_COUNT else 120)


@pytest.fixture
def body() -> LargeBody:
    return LargeBody(SIZE_BYTES)


@pytest.fixture
def stores(tmp_path: Path, body: LargeBody) -> Iterator[list[OneBodyStore]]:
    block = tmp_path / "block"
    block.write_bytes(next(body.pieces(0, MIB)))
    with OneBodyStore(block, SIZE_BYTES) as one, OneBodyStore(block, SIZE_BYTES) as two:
        yield [one, two]


@pytest.fixture
def served(tmp_path: Path, stores: list[OneBodyStore]) -> Iterator[Served]:
    def edited(text: str) -> str:
        head, _, rest = text.partition("\nbackends:\n")
        _, found, behind = rest.partition("\nidentities:")
        assert found
        backends = "".join(
            f"  - {{name: far-{number}, kind: s3, endpoint: '{store.place.endpoint}', bucket: {store.place.bucket}, "
            f"access_key_id: {store.place.access_key_id}, secret_access_key: {store.place.secret_access_key}}}\n"
            for number, store in enumerate(stores)
        )
        text = f"{head}\nbackends:\n{backends}processes: {{dataplane: 2}}\n{found}{behind}"
        return text.replace("default_scheme: copies(1)", "default_scheme: copies(2)")

    with Served(tmp_path / "main", volumes=1, edit_config=edited) as made:
        yield made


def test_many_uploads_and_downloads_at_once_take_a_bounded_memory(served: Served, body: LargeBody) -> None:
    wire = Wire.of(served)
    wire.lay_sentinel()
    assert wire.ask("PUT", f"/{BUCKET}").status == 200
    targets = [f"/{BUCKET}/{number}" for number in range(COUNT)]
    peaks = Peaks(served)

    uploaded = at_once([partial(upload, wire, target, body) for target in targets])
    up_bytes = peaks.peak_bytes()
    assert [cast(Answer, answer).said for answer in uploaded] == [(200, "")] * COUNT
    peaks = Peaks(served)
    found = at_once([partial(download, wire, target) for target in targets])
    down_bytes = peaks.peak_bytes()

    print(f"{COUNT} of {SIZE_BYTES // MIB} MiB: {up_bytes // MIB} MiB up, {down_bytes // MIB} MiB down")
    assert found == [(SIZE_BYTES, body.crc())] * COUNT
    assert max(up_bytes, down_bytes) < PEAK_BYTES_MAX
