"""Writes docs/reference/s3-compatibility.md from the route table and the header tables, or checks that it is theirs."""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

from dataplane.auth.identity import ALLOWED, Role
from dataplane.wire.amz_headers import GRANTS, HARMLESS, READ, REFUSED
from dataplane.wire.operations import AuthKind, Operation, PayloadKind
from dataplane.wire.refused_operations import REFUSED as REFUSED_OPERATIONS
from dataplane.wire.refused_operations import SAME_ON_THE_WIRE
from dataplane.wire.served_operations import SERVED
from tools.s3_parameters import parameters

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "s3-compatibility.md"

INTRODUCTION = """\
# S3 compatibility

Written from the route table by `tools/s3_compatibility.py`; a test walks every operation, parameter and header of
botocore's model of S3 and finds each of them here: served, without meaning, or refused by name. Nothing is passed over.
"""

CHOICES = """\
## Where S3 leaves a choice

- **Addressing** is path-style, and virtual-host style under the domains of `listen.domains`: there the host names the
  bucket, and the path is the key alone. Every other host means path style.
- **Paths** are split at the first `/` behind the bucket as sent, then percent-decoded once, strictly; keys are opaque
  UTF-8 of up to 1,024 bytes without NUL: `//`, `.`, `..` and a trailing `/` belong to them. `+` is a plus, in paths
  and queries alike.
- **Signatures** are Signature Version 4, in the Authorization header or presigned. Paths are verified exactly as sent.
  The host and every `x-amz-*` header must be signed, `x-amz-cf-id` excepted. `x-amz-*` headers that an SDK signed into
  a presigned URL count as headers. A signed request may come again within the 15 minutes its clock may differ: a
  repeated PUT stores the same bytes again.
- **Presigned URLs of Signature Version 2**, which boto3 and `aws s3 presign` make by default in us-east-1, work for
  single objects: at most a week, every parameter signed. Ask for Version 4 (`signature_version="s3v4"`) where you can.
- **Forms** (PostObject) are signed in Version 4, or in Version 2 as boto3 does by default, and good until their policy
  expires. Everything before the file is at most 20 KiB, the request has a Content-Length, and a field comes once. Each
  field needs a condition but `file`, `policy`, the signature itself and `x-ignore-*`; `x-amz-*` headers beside the
  form are refused. Fields behind the file count for nothing and take at most 64 KiB behind a large one. A redirect
  that is no `http` or `https` address counts as absent.
- **Query parameters** that choose an operation are never ignored; several at once are 400 `InvalidArgument`. Others
  that an operation does not read (`x-id` and anything unknown) are ignored, as S3 does.
- **versionId** is `null` or 32 hexadecimal digits; what can be no id is 400 `InvalidArgument`. Deleting a version that
  is not there is 204.
- **ListObjectVersions** goes on where it ended also when the version it ended with was deleted meanwhile:
  `NextVersionIdMarker` is a version's id with its place behind it. The id alone will do as `version-id-marker`.
- **Versioning** is enabled or suspended for good; MFA delete is refused by name.
- **Combinations** that S3 does not have are 405 `MethodNotAllowed` with `Allow`.
- **Request documents** are XML of at most 1 MiB (2 MiB for CompleteMultipartUpload), 16 levels deep, without document
  type, in S3's namespace or none. Unknown, repeated or misspelled elements are `MalformedXML`; their order is free.
  One bad key in DeleteObjects refuses the whole request. DeleteObjects needs Content-MD5 or an `x-amz-checksum-*`.
- **Keys with control characters** are stored as they are. XML 1.0 cannot hold them: ask for `encoding-type=url`, as
  SDKs do, and every key comes back exactly; without it such a character shows as U+FFFD, so that the document
  still parses.
  With `encoding-type=url` a space is `%20`, never `+`.
- **User metadata** is kept octet by octet; header names come back in lower case. A repeated header is one value joined
  by commas. A repeated header that can only come once is 400.
- **Ranges**: one range; several, other units and malformed ones are ignored, and the whole object comes.
  `If-Range` counts.
- **ETags** in conditions are compared strongly: weak ones match nothing.
- **Conditions on writes** (PutObject, CopyObject, CompleteMultipartUpload) are `If-None-Match: *`, or `If-Match` with
  one ETag or `*`; both at once and other forms are 501 `NotImplemented`, as in S3. Where nothing is, an ETag is 404
  `NoSuchKey` and `*` is 412.
- **Conditions on deletes** are `If-Match` with one ETag or `*`, and the time and the size of
  `x-amz-if-match-last-modified-time` and `x-amz-if-match-size`, which S3 has for directory buckets only; each entry of
  DeleteObjects may have its own. They are asked of the version that would go. Where nothing is, a condition on the ETag
  is 412, and those on time and size hold.
- **Parts by number**: `partNumber` is the number that the part was uploaded under. A read of a part tells that part's
  checksum; GetObjectAttributes lists parts with sizes, and with checksums where the upload asked for one.
- **A long CompleteMultipartUpload** (a list above 64 KiB whose commit takes more than 5 s) is answered as in S3: 200
  and the XML declaration, a blank every 5 s, then the document or an `<Error>`. `Content-Length` is announced, white
  space behind the document fills it. The version's id is then not among the headers.
- **Checksums** are those that were asked for: none is added to an object that was sent without one.
- **UploadPartCopy** takes `bytes=first-last` only; a range beyond the end of the source is 416 `InvalidRange`.
- **Browsers of other origins** see what a bucket's CORS rules let them see, errors too; the first rule that fits
  decides. A rule for `*` lets no credentials along. Without rules nothing is said to other origins, and
  preflights, which nobody signs, are 403 `AccessForbidden` for buckets that are not there as well.
- **Tags**: 50 on a bucket, 10 on a version. They keep the order they were given in.
- **Sub-resources that are never set** answer what S3 answers of one that was not set: their own 404, or the default.
  Writing what holds anyway (the owner pays, no logging, all public access blocked, enforced ownership) is accepted,
  and so is deleting what is not there; anything else is 501 under its name.
- **Access control lists**: the owner's (`private`, `bucket-owner-full-control`) are accepted, all others are 400
  `AccessControlListNotSupported`, as with enforced ownership.
- **x-amz-expected-bucket-owner** is compared with the name of the caller's account, which alone reaches its buckets.
- **Storage classes**: `STANDARD`.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join(
        [
            INTRODUCTION,
            *_served(),
            *_payloads(),
            *_roles(),
            CHOICES,
            *_headers(),
            *_parameters(),
            *_refused(),
            *_alike(),
        ]
    )


def _served() -> list[str]:
    rows = ["## Served", "", "| operation | request | query parameters | action |", "|---|---|---|---|"]
    for each in SERVED:
        assert each.action is not None
        rows.append(
            f"| {each.name} | `{_request(each)}` | {_code(each.parameters)} | `{each.action.value}` |"
        )
    return [*rows, ""]


def _payloads() -> list[str]:
    rows = ["## Forms of the payload", "", "`x-amz-content-sha256` by where the signature is.", ""]
    rows += [f"| payload | {' | '.join(kind.value for kind in AuthKind)} |", "|---|---|---|"]
    for payload in PayloadKind:
        name = "the body's SHA-256" if payload is PayloadKind.SIGNED else f"`{payload.value}`"
        takers = (
            _takers([each.name for each in SERVED if each.takes(auth_kind, payload)])
            for auth_kind in AuthKind
        )
        rows.append(f"| {name} | {' | '.join(takers)} |")
    return [
        *rows,
        "",
        "Signature Version 2 in a header, Version 4A, POST forms and session tokens are refused by name.",
        "",
    ]


def _takers(names: list[str]) -> str:
    return "all" if len(names) == len(SERVED) else ", ".join(names) or "none"


def _roles() -> list[str]:
    rows = ["## Roles", "", "| role | actions |", "|---|---|"]
    for role in Role:
        rows.append(f"| {role.value} | {_code(action.value for action in ALLOWED[role])} |")
    return [*rows, "", "A list of buckets limits every role. What is not listed is denied.", ""]


def _headers() -> list[str]:
    groups = (
        ("Read", READ, "where the operation has a use for them"),
        ("Without meaning here", HARMLESS, "accepted"),
        ("Access control lists", GRANTS, "400 `AccessControlListNotSupported`"),
        ("Not built", REFUSED, "501 `NotImplemented` under the header's name"),
    )
    rows = ["## x-amz-* headers", "", "| | headers | answer |", "|---|---|---|"]
    rows += [f"| {title} | {_code(names)} | {answer} |" for title, names, answer in groups]
    return [
        *rows,
        "",
        "Of those read, `x-amz-server-side-encryption` is always refused (501, or 400 for what is no algorithm), and",
        "`x-amz-bucket-object-lock-enabled` and `x-amz-object-ownership` are refused unless",
        "they ask for what holds anyway.",
        "",
    ]


def _parameters() -> list[str]:
    rows = [
        "## Parameters",
        "",
        "Every parameter of every served operation, as SDKs name it, and what becomes of it. Those of refused",
        "operations are refused with them.",
        "",
        "| operation | parameter | on the wire | here |",
        "|---|---|---|---|",
    ]
    for each in parameters():
        wire = f"{each.place} `{each.wire_name}`"
        rows.append(f"| {each.operation.name} | {each.member} | {wire} | {each.fate.value} |")
    return [*rows, ""]


def _refused() -> list[str]:
    rows = [
        "## Refused by name",
        "",
        "Each answers 501 `NotImplemented`.",
        "",
        "| operation | request |",
        "|---|---|",
    ]
    refused = sorted(REFUSED_OPERATIONS, key=lambda each: (each.kind.value, each.name, each.method))
    rows += [f"| {each.name} | `{_request(each)}` |" for each in refused]
    return [*rows, "| WriteGetObjectResponse | `POST /WriteGetObjectResponse` |", ""]


def _alike() -> list[str]:
    rows = ["## Alike on the wire", "", "| operation | is answered as |", "|---|---|"]
    return [*rows, *(f"| {name} | {other} |" for name, other in sorted(SAME_ON_THE_WIRE.items())), ""]


def _request(operation: Operation) -> str:
    path = {"service": "/", "bucket": "/bucket", "object": "/bucket/key"}[operation.kind.value]
    selector = "list-type=2" if operation.selector == "list-type" else operation.selector
    text = f"{operation.method} {path}" + (f"?{selector}" if selector else "")
    return text + (" with x-amz-copy-source" if operation.is_copy else "")


def _code(names: Iterable[str]) -> str:
    return " ".join(f"`{name}`" for name in sorted(names)) or "–"


def main() -> int:
    """Write the page, or with --check compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page is not up to date"
    )
    options = parser.parse_args()
    if not options.check:
        PAGE.write_text(page())
        return 0
    if PAGE.read_text() == page():
        return 0
    print(f"{PAGE} is out of date: run tools/s3_compatibility.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
