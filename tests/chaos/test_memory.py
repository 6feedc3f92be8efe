"""The data plane's memory does not grow with the size of objects, nor by more than a little with uploads in flight.

`PENSTOCK_MEMORY_GIB=5` runs the long form, with an object as large as one PUT may be.
"""

import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tests.conformance.s3.wire import UNSIGNED, Wire
from tests.support.raw_http import Answer, Connection, request_bytes
from tests.support.served import Served

KIB, MIB, GIB = 1024, 1024**2, 1024**3
LONG_GIB = os.environ.get("PENSTOCK_MEMORY_GIB")
OBJECT_BYTES = int(float(LONG_GIB) * GIB) if LONG_GIB else 512 * MIB
GROWTH_BYTES_MAX = 64 * MIB
"""Of all processes of the data plane together."""

PART_BYTES = 64 * MIB
WARM_BYTES = 8 * MIB
UPLOAD_COUNT = 20
BUCKET, SEALED_BUCKET = "memory", "memory-sealed"

pytestmark = pytest.mark.timeout(1200 if LONG_GIB else 120)


class Peaks:
    """What the processes of the data plane held at most since `begin`, as the kernel kept count (proc(5), VmHWM)."""

    def __init__(self, served: Served) -> None:
        self._pids = [pid for pid, command in served.processes().items() if "dataplane" in command]
        assert len(self._pids) >= 3, "the arbiter and two processes"
        self._before = self._begin()

    def growth_bytes(self) -> int:
        return sum(self._status(pid, "VmHWM") - self._before[pid] for pid in self._pids)

    def peak_bytes(self) -> int:
        """All of it, what was held before included."""
        return sum(self._status(pid, "VmHWM") for pid in self._pids)

    def _begin(self) -> dict[int, int]:
        for pid in self._pids:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        return {pid: self._status(pid, "VmRSS") for pid in self._pids}

    @staticmethod
    def _status(pid: int, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        assert found is not None
        return int(found[1]) * KIB


class LargeBody:
    """So many bytes that do not compress and are made from one MiB, with their CRC."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._block = os.urandom(MIB)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[memoryview]:
        """From `start`, which is a multiple of a MiB."""
        left = (self.size_bytes if stop is None else stop) - start
        while left > 0:
            yield memoryview(self._block)[: min(left, MIB)]
            left -= MIB

    def crc(self) -> int:
        crc = 0
        for piece in self.pieces():
            crc = zlib.crc32(piece, crc)
        return crc


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    more = f"\nprocesses: {{dataplane: 2}}\nbuckets: [{{name: {SEALED_BUCKET}, account: main, seal: all}}]\n"
    with Served(
        tmp_path_factory.mktemp("memory"),
        volumes=2,
        edit_config=lambda text: text.replace("\nidentities:", more + "\nidentities:"),
    ) as each:
        yield each


@pytest.fixture(scope="module")
def wire(served: Served) -> Wire:
    """Its processes have served once what the tests ask of them."""
    made = Wire.of(served)
    made.lay_sentinel()
    assert made.ask("PUT", f"/{BUCKET}").status == 200
    warm = LargeBody(WARM_BYTES)
    for _ in range(4):
        assert upload(made, f"/{BUCKET}/warm", warm).status == 200
        assert download(made, f"/{BUCKET}/warm") == (WARM_BYTES, warm.crc())
    return made


def upload(wire: Wire, target: str, body: LargeBody, start: int = 0, stop: int | None = None) -> Answer:
    size_bytes = (body.size_bytes if stop is None else stop) - start
    pairs = wire.headers("PUT", target, payload=UNSIGNED, length=size_bytes)
    with Connection(wire.address, timeout_s=300) as connection:
        connection.send(request_bytes("PUT", target, pairs))
        for piece in body.pieces(start, stop):
            connection.send(piece)
        return connection.answer("PUT")


def download(wire: Wire, target: str) -> tuple[int, int]:
    """Size and CRC of what a reader gets."""
    size_bytes = crc = 0

    def take(piece: memoryview) -> None:
        nonlocal size_bytes, crc
        size_bytes += len(piece)
        crc = zlib.crc32(piece, crc)

    with Connection(wire.address, timeout_s=300) as connection:
        connection.send(wire.raw("GET", target))
        assert connection.answer(take=take).status == 200
    return size_bytes, crc


@pytest.mark.parametrize("bucket", [BUCKET, SEALED_BUCKET])
def test_an_object_of_any_size_goes_in_and_out_in_little_memory(
    served: Served, wire: Wire, bucket: str
) -> None:
    body = LargeBody(OBJECT_BYTES)
    peaks = Peaks(served)

    assert upload(wire, f"/{bucket}/whole", body).status == 200
    growth_bytes = [peaks.growth_bytes()]
    found = download(wire, f"/{bucket}/whole")
    growth_bytes.append(peaks.growth_bytes())

    assert found == (body.size_bytes, body.crc())
    assert max(growth_bytes) < GROWTH_BYTES_MAX, growth_bytes
    assert wire.ask("DELETE", f"/{bucket}/whole").status == 204


def test_an_upload_in_parts_takes_no_more(served: Served, wire: Wire) -> None:
    body, target = LargeBody(OBJECT_BYTES), f"/{BUCKET}/parts"
    upload_id = (
        wire.ask("POST", f"{target}?uploads").body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
    )
    peaks = Peaks(served)

    listed = ""
    for number, start in enumerate(range(0, OBJECT_BYTES, PART_BYTES), start=1):
        stop = min(start + PART_BYTES, OBJECT_BYTES)
        answer = upload(wire, f"{target}?partNumber={number}&uploadId={upload_id}", body, start, stop)
        listed += f"<Part><PartNumber>{number}</PartNumber><ETag>{answer.header('etag')}</ETag></Part>"
    document = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
    assert wire.ask("POST", f"{target}?uploadId={upload_id}", body=document).status == 200
    growth_bytes = [peaks.growth_bytes()]
    found = download(wire, target)
    growth_bytes.append(peaks.growth_bytes())

    assert found == (body.size_bytes, body.crc())
    assert max(growth_bytes) < GROWTH_BYTES_MAX, growth_bytes
    assert wire.ask("DELETE", target).status == 204


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """What the calls return, each on a thread of its own."""
    results: list[object] = []
    threads = [threading.Thread(target=lambda call=call: results.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_twenty_uploads_at_once_take_a_little_each(served: Served, wire: Wire) -> None:
    body = LargeBody(PART_BYTES)
    targets = [f"/{BUCKET}/at-once/{number}" for number in range(UPLOAD_COUNT)]
    peaks = Peaks(served)

    uploaded = at_once([partial(upload, wire, target, body) for target in targets])
    growth_bytes = [peaks.growth_bytes()]
    found = at_once([partial(download, wire, target) for target in targets])
    growth_bytes.append(peaks.growth_bytes())

    assert [cast(Answer, answer).status for answer in uploaded] == [200] * UPLOAD_COUNT
    assert found == [(PART_BYTES, body.crc())] * UPLOAD_COUNT
    assert max(growth_bytes) < GROWTH_BYTES_MAX, growth_bytes
