"""A copied part holds the bytes of its span, whatever blobs, schemes and seals they come from."""

import hashlib

import pytest

from engine.errors import NoSuchUpload
from engine.names import bucket_name
from engine.objects.multipart import WrittenPart
from engine.objects.part_copy import PartCopyOrder
from engine.objects.read import Span
from engine.records import Copies, Sealing
from engine.streams import ChecksumAlgorithm, ChecksumType
from engine.units import KIB, MIB
from tests.integration.engine.objects.conftest import MakeRig
from tests.support.objects import BUCKET, ObjectRig, key_of
from tests.support.pieces import payload_of

OTHER = bucket_name("other")
SIZE = 2 * MIB + 7


def copy_part(
    rig: ObjectRig, upload_id: bytes, source: str, start: int, stop: int, *, source_bucket: str = BUCKET
) -> WrittenPart:
    order = PartCopyOrder(
        source=rig.find(source, bucket=bucket_name(source_bucket)),
        span=Span(start=start, stop=stop),
        upload_id=upload_id,
        bucket=BUCKET,
        key=key_of("copy"),
        part_number=1,
    )
    return rig.objects.part_copier.copy(order)


@pytest.mark.parametrize(
    "options",
    [{}, {"seal": Sealing.ALL}, {"scheme": Copies(count=2)}],
    ids=["alike", "sealed", "two-copies"],
)
@pytest.mark.parametrize("span", [(0, SIZE), (1, SIZE - 1), (MIB - 5, MIB + 5), (7, 8), (0, 0)])
def test_any_span_of_any_source(make_rig: MakeRig, options: dict[str, object], span: tuple[int, int]) -> None:
    rig = make_rig()
    rig.make_bucket(OTHER, **options)  # type: ignore[arg-type]
    data = payload_of(SIZE)
    rig.put("from", data, bucket=OTHER)
    upload_id = rig.begin_upload("copy")
    start, stop = span

    written = copy_part(rig, upload_id, "from", start, stop, source_bucket=OTHER)
    rig.delete("from", bucket=OTHER)
    rig.complete(upload_id, "copy", [written])

    assert written.etag == hashlib.md5(data[start:stop], usedforsecurity=False).hexdigest()
    assert written.size_bytes == stop - start
    assert rig.settle().is_clean
    assert rig.get("copy") == data[start:stop]


def test_a_part_of_parts_with_the_checksum_of_its_upload(rig: ObjectRig) -> None:
    bodies = [payload_of(300 * KIB), payload_of(200 * KIB)]
    source_id = rig.begin_upload("from")
    parts = [rig.put_part(source_id, "from", number, body) for number, body in enumerate(bodies, 1)]
    rig.complete(source_id, "from", parts)
    upload_id = rig.begin_upload(
        "copy", checksum_algorithm=ChecksumAlgorithm.SHA256, checksum_type=ChecksumType.COMPOSITE
    )

    written = copy_part(rig, upload_id, "from", 299 * KIB, 301 * KIB)
    rig.complete(upload_id, "copy", [written])

    expected = b"".join(bodies)[299 * KIB : 301 * KIB]
    assert [each.digest for each in written.checksums] == [hashlib.sha256(expected).digest()]
    assert rig.get("copy") == expected
    assert rig.settle().is_clean


def test_what_the_source_was_when_it_was_found_is_copied(rig: ObjectRig) -> None:
    rig.put("from", payload_of(SIZE))
    source = rig.find("from")
    upload_id = rig.begin_upload("copy")
    rig.put("from", b"newer")
    order = PartCopyOrder(
        source=source,
        span=Span(start=0, stop=SIZE),
        upload_id=upload_id,
        bucket=BUCKET,
        key=key_of("copy"),
        part_number=1,
    )

    written = rig.objects.part_copier.copy(order)

    rig.complete(upload_id, "copy", [written])
    assert rig.get("copy") == payload_of(SIZE)


def test_a_part_for_no_upload_stores_nothing(rig: ObjectRig) -> None:
    rig.put("from", payload_of(SIZE))
    upload_id = rig.begin_upload("copy")
    rig.abort_upload(upload_id, "copy")

    with pytest.raises(NoSuchUpload):
        copy_part(rig, upload_id, "from", 0, SIZE)

    assert rig.settle().is_clean
