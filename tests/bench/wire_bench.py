"""What the pure parts of a request cost: signature, target, route, headers, pages and chunks.

Prints microseconds a call, the best of several rounds, and MB/s where bytes flow. Asserts nothing.
"""

import hashlib
import timeit
from collections.abc import Callable
from functools import partial

from dataplane.auth.entrance import enter
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator, SignedRequest
from dataplane.wire import xml_out
from dataplane.wire.aws_chunked import AwsChunkedReader
from dataplane.wire.conditions import ReadConditions
from dataplane.wire.fields import gather_fields
from dataplane.wire.headers import read_object_headers
from dataplane.wire.parameters import read_list_v2
from dataplane.wire.requests import read_delete
from dataplane.wire.routes import find_route
from dataplane.wire.target import parse_target
from dataplane.wire.times import parse_amz_date
from engine.names import ObjectKey
from engine.records import ListedVersion, ListingPage
from engine.units import MIB
from tests.support.sigv4_signer import Signer
from tests.support.wire_bodies import BytesBody

ROUNDS = 5
CHUNK_BYTES = 64 * 1024


def show(name: str, call: Callable[[], object], *, times: int = 20_000) -> None:
    best_s = min(timeit.repeat(call, number=times, repeat=ROUNDS)) / times
    print(f"{name:<44} {best_s * 1e6:8.2f} µs")


def main() -> None:
    signer = Signer()
    identity = Identity(name="n", account_id=1, account="main", role=Role.SUPERUSER)
    known = Credential(access_key_id=signer.access_key_id, secret=signer.secret, identity=identity)
    now_us = (parse_amz_date(signer.amz_date) or 0) * 1_000_000
    authenticator = Authenticator(
        {known.access_key_id: known}.get,
        region="us-east-1",
        now_us=lambda: now_us,
        signing_keys=SigningKeys(),
    )
    raw_target = "/bucket/some/longer/key%20name?x-id=GetObject"
    raw_headers = [
        (name.encode(), value.encode())
        for name, value in (
            *signer.headers(target=raw_target),
            ("user-agent", "aws-sdk"),
            ("accept-encoding", "identity"),
            ("amz-sdk-invocation-id", "0190163d-8694-739a-823e-1d2b6e1f8f0a"),
        )
    ]
    target, headers = parse_target(raw_target.encode()), gather_fields(raw_headers)
    signed = SignedRequest(method="GET", target=target, headers=headers)
    url = parse_target(signer.presigned().encode())
    presigned = SignedRequest(method="GET", target=url, headers={"host": "localhost:9000"})
    put_headers = {"content-type": "text/plain", "x-amz-meta-mtime": "1", "x-amz-meta-mode": "33188"}

    show("verify a header signature, cached key", lambda: authenticator.authenticate(signed))
    show("verify a presigned URL, cached key", lambda: authenticator.authenticate(presigned))
    show("parse the target", lambda: parse_target(raw_target.encode()))
    show("gather the headers", lambda: gather_fields(raw_headers))
    show("find the route", lambda: find_route("GET", target, headers))
    show("the whole way in", lambda: enter("GET", target, headers, BytesBody(b""), authenticator))
    show("read no conditions", lambda: ReadConditions.of(headers))
    show("read metadata of a PUT", lambda: read_object_headers(put_headers))
    _documents()
    _chunks()


def _documents() -> None:
    versions = [
        ListedVersion(
            key=ObjectKey(b"folder/object-%06d.bin" % number),
            size_bytes=number,
            etag="0" * 32,
            storage_class="STANDARD",
            created_at_us=1_700_000_000_000_000 + number * 250_000,
            checksum_algorithms=(),
        )
        for number in range(1000)
    ]
    page = ListingPage(versions=versions, common_prefixes=(), next_after=b"z")
    for encoding in ("", "&encoding-type=url"):
        query = read_list_v2(parse_target(f"/bucket?list-type=2{encoding}".encode()))
        write = partial(xml_out.list_objects_v2, page, query, bucket="bucket", owner="main")
        show(f"a page of 1,000 keys {encoding[1:]}", write, times=100)
    delete = (
        b"<Delete>" + b"".join(b"<Object><Key>key-%d</Key></Object>" % n for n in range(1000)) + b"</Delete>"
    )
    show("parse a DeleteObjects of 1,000 keys", lambda: read_delete(delete), times=50)


class _Memory:
    """A source over bytes that copies like a socket does."""

    def __init__(self, raw: bytes) -> None:
        self._raw = memoryview(raw)
        self._start = 0

    def readinto(self, buffer: memoryview, /) -> int:
        count = min(len(buffer), len(self._raw) - self._start)
        buffer[:count] = self._raw[self._start : self._start + count]
        self._start += count
        return count


class _AnySignature:
    """Leaves the data's digest as the cost."""

    def check_chunk(self, signature: str, data_sha256: str) -> None:
        pass

    check_trailer = check_chunk


def _decode(raw: bytes, size_bytes: int, signatures: _AnySignature | None) -> None:
    buffer = memoryview(bytearray(256 * 1024))
    reader = AwsChunkedReader(_Memory(raw), decoded_bytes=size_bytes, signatures=signatures)
    while reader.readinto(buffer):
        pass


def _chunks() -> None:
    data = bytes(64 * MIB)
    for name, extension, signatures in (
        ("unsigned", b"", None),
        ("signed", b";chunk-signature=" + b"0" * 64, _AnySignature()),
    ):
        chunk = b"%x" % CHUNK_BYTES + extension + b"\r\n" + bytes(CHUNK_BYTES) + b"\r\n"
        raw = chunk * (len(data) // CHUNK_BYTES) + b"0" + extension + b"\r\n\r\n"
        best_s = min(timeit.repeat(partial(_decode, raw, len(data), signatures), number=1, repeat=3))
        print(f"decode 64 MiB in chunks of 64 KiB, {name:<9} {len(data) / best_s / 1e6:8.0f} MB/s")
    best_s = min(timeit.repeat(lambda: hashlib.sha256(data), number=1, repeat=3))
    print(f"SHA-256 alone {'':<30} {len(data) / best_s / 1e6:8.0f} MB/s")


if __name__ == "__main__":
    main()
