"""Signed requests put together at random from what clients send and should not: answered by rule, never a failure.

`PENSTOCK_RANDOM_REQUESTS` and `PENSTOCK_RANDOM_SEED` make it longer and another one; a failure tells its seed.
"""

import base64
import hashlib
import os
import random
import re

import pytest

from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, UNSIGNED, Wire
from tests.support.chunked_bodies import SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER
from tests.support.raw_http import Connection

REQUEST_COUNT = int(os.environ.get("PENSTOCK_RANDOM_REQUESTS", "1500"))
SEED = int(os.environ.get("PENSTOCK_RANDOM_SEED", "1"))

METHODS = ("GET", "GET", "GET", "PUT", "PUT", "PUT", "POST", "POST", "HEAD", "DELETE", "OPTIONS")
PATHS = (*(f"/{BUCKET}/random/",) * 8, f"/{BUCKET}", "/never-made/", "/", "/UP/", "/b%2Fc/", "//")
KEYS = (
    *(
        "k",
        "a/b",
        "a//b",
        "%00",
        "%ff",
        "..",
        "k%20x",
        "%E2%82%AC",
        "x" * 1017,
        "x" * 1018,
        "%zz",
        "a%2Fb",
        "+",
        ";",
    ),
    *(
        "%0D%0A",
        "%C3%A9",
        "~",
        "'",
        "%25",
        "%5C",
        "%F0%9F%98%80",
        "a%7Fb",
        "%C2%85",
        "%E2%80%A8",
        "%EF%BF%BF",
    ),
)
QUERIES = (
    *(
        "acl",
        "versionId",
        "versionId=null",
        "versionId=x",
        "uploads",
        "uploadId",
        "uploadId=x",
        "partNumber=1",
        "delete",
    ),
    *(
        "partNumber=0",
        "list-type=2",
        "list-type=1",
        "prefix=a",
        "prefix=%00",
        "prefix=%ff",
        "delimiter=/",
        "delimiter=",
    ),
    *(
        "max-keys=0",
        "max-keys=1",
        "max-keys=-1",
        "max-keys=99999999999999999999999",
        "marker=%F4%8F%BF%BF",
        "location",
    ),
    *(
        "start-after=zz",
        "continuation-token=x",
        "continuation-token=",
        "encoding-type=url",
        "encoding-type=x",
        "policy",
    ),
    *(
        "upload-id-marker=x",
        "key-marker=a",
        "max-uploads=1",
        "max-parts=1",
        "part-number-marker=99999999999",
        "versions",
    ),
    *(
        "response-content-type=a",
        "response-content-type=%0a",
        "response-expires=%E4%BD%A0",
        "fetch-owner=true",
        "%",
        "=",
    ),
    *(
        "x-id=GetObject",
        "max-buckets=0",
        "max-buckets=1",
        "&",
        "a=b=c",
        "X-Amz-Foo=1",
        "Signature",
        "AWSAccessKeyId=x",
    ),
    *("X-Amz-Credential=a", "select&select-type=2", "restore", "tagging", "attributes", "retention", "%zz=1"),
    *(
        "cors",
        "versioning",
        "website",
        "encryption",
        "ownershipControls",
        "publicAccessBlock",
        "requestPayment",
    ),
    *("logging", "notification", "accelerate", "versions&prefix=random/&max-keys=2", "version-id-marker=x"),
    *(
        "versions&key-marker=random/k&version-id-marker=null",
        "partNumber=2",
        "partNumber=10001",
        "prefix=a+b",
    ),
)
NAMES = (
    *(
        "range",
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "content-md5",
    ),
    *("content-type", "content-encoding", "content-disposition", "cache-control", "expires", "x-amz-meta-a"),
    *("x-amz-meta-", "x-amz-acl", "x-amz-storage-class", "x-amz-copy-source", "x-amz-copy-source-if-match"),
    *(
        "x-amz-metadata-directive",
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc64nvme",
        "x-amz-checksum-sha256",
    ),
    *(
        "x-amz-checksum-algorithm",
        "x-amz-checksum-type",
        "x-amz-checksum-mode",
        "x-amz-sdk-checksum-algorithm",
    ),
    *("x-amz-trailer", "x-amz-decoded-content-length", "x-amz-mp-object-size", "x-amz-expected-bucket-owner"),
    *(
        "x-amz-server-side-encryption",
        "x-amz-tagging",
        "x-amz-penstock",
        "expect",
        "connection",
        "user-agent",
        "date",
    ),
    *(
        "access-control-request-method",
        "access-control-request-headers",
        "x-amz-object-attributes",
        "x-amz-max-parts",
    ),
    *(
        "x-amz-copy-source-range",
        "x-amz-if-match-size",
        "x-amz-if-match-last-modified-time",
        "x-amz-tagging-directive",
    ),
    *("x-forwarded-for", "x-amz-part-number-marker", "x-amz-mfa"),
    *("x-amz-security-token", "origin", "te", "content-language", "x-amz-copy-source-if-modified-since"),
)
VALUES = (
    *(
        "",
        "0",
        "1",
        "-1",
        "abc",
        "null",
        "true",
        "*",
        '"x"',
        'W/"x"',
        "bytes=0-",
        "bytes=0-0",
        "bytes=-1",
        "bytes=1-0",
    ),
    *(
        "bytes=99-",
        "Wed, 25 Nov 2026 22:50:34 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
    ),
    *(
        "9" * 40,
        "\xe4",
        "\xff\xfe",
        "a" * 3000,
        "AES256",
        "CRC32",
        "crc64nvme",
        "AAAAAA==",
        "AAAAAAAAAAA=",
        "COMPOSITE",
    ),
    *(
        "FULL_OBJECT",
        "STANDARD",
        "GLACIER",
        "private",
        "public-read",
        SENTINEL,
        f"{BUCKET}/random/k?versionId=null",
        "%",
    ),
    *(
        "REPLACE",
        "COPY",
        "aws-chunked",
        "gzip, aws-chunked",
        "100-continue",
        "close",
        "main",
        "a,b,c",
        "Infinity",
    ),
    *(
        "https://a.example",
        "PUT",
        "x-amz-meta-a, content-type",
        "ETag,ObjectParts",
        "bytes=0-4",
        "a=b&c=%C3%A4",
        "a=1&a=2",
    ),
)
BODIES = (
    *(
        b"",
        b"x",
        b"hello world",
        b"<a/>",
        b"x" * 70_000,
        b"5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"\xff\xfe<\x00",
    ),
    b"<Delete><Object><Key>random/k</Key></Object></Delete>",
    b"<Delete><Object><Key>&#x10FFFF;</Key></Object></Delete>",
    b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
    b"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>",
    b"<?xml version='1.0' encoding='latin-1'?><Delete><Object><Key>\xe4</Key></Object></Delete>",
    b"<?xml version='1.0' encoding='foo'?><Delete/>",
    b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
    b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>",
    b"<Delete><Object><Key>random/k</Key><VersionId>null</VersionId></Object></Delete>",
    b"<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>"
    b"<AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>",
    b"<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
)
PAYLOADS = ("",) * 12 + (UNSIGNED, UNSIGNED_TRAILER, SIGNED, SIGNED_TRAILER, "abc")


class Chance:
    """Puts requests together; uploads that were begun are gone on with."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.upload_ids: list[str] = []

    def request(self, wire: Wire) -> tuple[str, bytes]:
        draw = self._random
        method, path = draw.choice(METHODS), draw.choice(PATHS)
        target = path + draw.choice(KEYS) if path.endswith("/") and draw.random() < 0.9 else path
        queries = draw.sample(QUERIES, draw.choice((0, 0, 0, 0, 1, 1, 2)))
        if self.upload_ids and draw.random() < 0.2:
            target, queries = f"/{BUCKET}/random/k", [f"uploadId={draw.choice(self.upload_ids)}"]
            queries += ["partNumber=1"] if method == "PUT" else []
        pairs = [(draw.choice(NAMES), draw.choice(VALUES)) for _ in range(draw.choice((0, 0, 0, 1, 1, 2, 4)))]
        body = draw.choice(BODIES) if method in ("PUT", "POST") or draw.random() < 0.05 else b""
        if draw.random() < 0.5 and body:
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            pairs.append(("content-md5", base64.b64encode(digest).decode()))
        if method == "DELETE" and target == f"/{BUCKET}":
            method = "HEAD"
        target += f"?{'&'.join(queries)}" if queries else ""
        return method, wire.raw(method, target, pairs, body=body, payload=draw.choice(PAYLOADS))


@pytest.mark.timeout(60 + REQUEST_COUNT // 20)
def test_any_request_is_answered_by_rule(wire: Wire) -> None:
    chance = Chance(SEED)
    statuses = set()

    for number in range(REQUEST_COUNT):
        method, raw = chance.request(wire)
        story = f"seed {SEED}, number {number}: {raw[:3000]!r}"
        with Connection(wire.address) as connection:
            connection.send(raw)
            answer = connection.answer(method)
            if answer.status == 100:
                answer = connection.answer(method)
            assert answer.status < 500 or answer.status == 501, story
            assert answer.status < 400 or method == "HEAD" or answer.code, story
            wire.look_after(connection, answer)
        statuses.add(answer.status)
        chance.upload_ids += re.findall(r"<UploadId>(\w{32})</UploadId>", answer.body.decode("latin-1"))

    assert {200, 204, 400, 403, 404, 405, 411, 417, 501} <= statuses
    assert wire.stored(SENTINEL) == SENTINEL_BODY
