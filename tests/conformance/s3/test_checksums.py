"""Every algorithm in every place: what was asked for is computed, kept, told again and held against (rows C)."""

import base64
import hashlib
import os
import zlib
from collections.abc import Callable, Mapping

import pytest

from tests.conformance.s3.uploads import PART_BYTES, Upload, element
from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.crcs import CRC32C, CRC64NVME, crc_bitwise

BODY = b"what is summed up"
ASKED = [("x-amz-checksum-mode", "ENABLED")]
ATTRIBUTES = [("x-amz-object-attributes", "Checksum")]

DIGESTS: Mapping[str, Callable[[bytes], bytes]] = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: crc_bitwise(CRC32C, data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: crc_bitwise(CRC64NVME, data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}
every_algorithm = pytest.mark.parametrize("algorithm", DIGESTS)


def text_of(algorithm: str, data: bytes) -> str:
    return base64.b64encode(DIGESTS[algorithm](data)).decode()


def field_of(algorithm: str) -> str:
    return f"x-amz-checksum-{algorithm.lower()}"


@every_algorithm
def test_of_a_single_put(wire: Wire, path: str, algorithm: str) -> None:
    field, right, wrong = field_of(algorithm), text_of(algorithm, BODY), text_of(algorithm, b"other")

    assert wire.ask("PUT", path, [(field, wrong)], body=BODY).said == (400, "BadDigest")
    assert wire.stored(path) is None
    put = wire.put(path, BODY, [(field, right), ("x-amz-sdk-checksum-algorithm", algorithm)])

    for answer in (put, wire.get(path, ASKED), wire.ask("HEAD", path, ASKED)):
        assert (answer.header(field), answer.header("x-amz-checksum-type")) == (right, "FULL_OBJECT")
    for silent in (wire.get(path), wire.get(path, [*ASKED, ("range", "bytes=0-3")])):
        assert silent.header(field) is None
    attributes = wire.get(f"{path}?attributes", ATTRIBUTES).body
    assert (element(attributes, f"Checksum{algorithm}"), element(attributes, "ChecksumType")) == (
        right,
        "FULL_OBJECT",
    )
    prefix = path.removeprefix(f"/{BUCKET}/")
    for listing in (f"/{BUCKET}?prefix={prefix}", f"/{BUCKET}?list-type=2&prefix={prefix}"):
        listed = wire.get(listing).body
        assert element(listed, "ChecksumAlgorithm") == algorithm
        assert element(listed, "ChecksumType") == "FULL_OBJECT"


@every_algorithm
def test_of_a_copy(wire: Wire, path: str, algorithm: str) -> None:
    wire.put(f"{path}/bare", BODY)
    wire.put(f"{path}/summed", BODY, [(field_of(algorithm), text_of(algorithm, BODY))])

    kept = wire.ask("PUT", f"{path}/1", [("x-amz-copy-source", f"{path}/summed")])
    asked = wire.ask(
        "PUT",
        f"{path}/2",
        [("x-amz-copy-source", f"{path}/bare"), ("x-amz-checksum-algorithm", algorithm)],
    )

    for answer, target in ((kept, f"{path}/1"), (asked, f"{path}/2")):
        assert element(answer.body, f"Checksum{algorithm}") == text_of(algorithm, BODY)
        assert element(answer.body, "ChecksumType") == "FULL_OBJECT"
        assert wire.get(target, ASKED).header(field_of(algorithm)) == text_of(algorithm, BODY)


@every_algorithm
@pytest.mark.parametrize("kind", ["COMPOSITE", "FULL_OBJECT"])
def test_of_an_upload(wire: Wire, path: str, algorithm: str, kind: str) -> None:
    wish = [("x-amz-checksum-algorithm", algorithm), ("x-amz-checksum-type", kind)]
    if (algorithm == "CRC64NVME" and kind == "COMPOSITE") or (
        algorithm.startswith("SHA") and kind == "FULL_OBJECT"
    ):
        assert wire.ask("POST", f"{path}?uploads", wish).said == (400, "InvalidRequest")
        return
    wire.put(f"{path}/from", BODY)
    upload = Upload(wire, path, wish)
    field, name, part = field_of(algorithm), f"Checksum{algorithm}", text_of(algorithm, BODY)
    is_composite = kind == "COMPOSITE"
    whole = f"{text_of(algorithm, DIGESTS[algorithm](BODY))}-1" if is_composite else part
    listed = f"<{name}>{part}</{name}>"

    assert upload.created.header("x-amz-checksum-algorithm") == algorithm
    assert upload.created.header("x-amz-checksum-type") == kind
    # Its sender gave none, and Complete will need it all the same.
    assert upload.part(1, BODY).header(field) == part
    copied = upload.copy_part(1, f"{path}/from")
    assert element(copied.body, name) == part
    shown = wire.get(f"{path}?uploadId={upload.id}").body
    assert (element(shown, name), element(shown, "ChecksumAlgorithm")) == (part, algorithm)
    assert element(shown, "ChecksumType") == kind

    other_kind = "FULL_OBJECT" if is_composite else "COMPOSITE"
    wrong = text_of(algorithm, b"other") + ("-1" if is_composite else "")
    refused_part = upload.complete(checksums=[f"<{name}>{text_of(algorithm, b'other')}</{name}>"])
    assert refused_part.said == (400, "InvalidPart")
    assert upload.complete(headers=[(field, wrong)]).said == (400, "BadDigest")
    assert upload.complete(headers=[("x-amz-checksum-type", other_kind)]).said == (400, "InvalidRequest")
    assert upload.is_alive()
    done = upload.complete(headers=[(field, whole), ("x-amz-checksum-type", kind)], checksums=[listed])

    assert (element(done.body, name), element(done.body, "ChecksumType")) == (whole, kind)
    head = wire.ask("HEAD", path, ASKED)
    assert (head.header(field), head.header("x-amz-checksum-type")) == (whole, kind)
    attributes = wire.get(f"{path}?attributes", ATTRIBUTES).body
    assert (element(attributes, name), element(attributes, "ChecksumType")) == (whole, kind)
    assert element(wire.get(f"/{BUCKET}?prefix={path.removeprefix(f'/{BUCKET}/')}").body, "ChecksumType") in (
        kind,
        "FULL_OBJECT",
    )


def test_of_several_parts(wire: Wire, path: str) -> None:
    bodies = [os.urandom(PART_BYTES), b"the rest"]
    whole = Upload(
        wire, f"{path}/whole", [("x-amz-checksum-algorithm", "CRC32"), ("x-amz-checksum-type", "FULL_OBJECT")]
    )
    each = Upload(wire, f"{path}/each", [("x-amz-checksum-algorithm", "SHA256")])
    for upload in (whole, each):
        for number, body in enumerate(bodies, 1):
            upload.part(number, body)
        assert upload.complete().status == 200

    assert wire.get(whole.path, ASKED).header("x-amz-checksum-crc32") == text_of("CRC32", b"".join(bodies))
    digests = b"".join(DIGESTS["SHA256"](body) for body in bodies)
    head = wire.ask("HEAD", each.path, ASKED)
    assert head.header("x-amz-checksum-sha256") == f"{text_of('SHA256', digests)}-2"
    assert head.header("x-amz-checksum-type") == "COMPOSITE"
    for upload, algorithm in ((whole, "CRC32"), (each, "SHA256")):
        attributes = wire.get(f"{upload.path}?attributes", [("x-amz-object-attributes", "ObjectParts")]).body
        for number, body in enumerate(bodies, 1):
            of_part = text_of(algorithm, body)
            part = wire.get(f"{upload.path}?partNumber={number}", ASKED)
            assert part.header(field_of(algorithm)) == of_part
            assert f"<Checksum{algorithm}>{of_part}</Checksum{algorithm}>".encode() in attributes
