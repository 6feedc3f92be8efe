"""Forms and their policies that are odd in any way."""

import base64
import json

from hypothesis import example, given
from hypothesis import strategies as st

from dataplane.auth.form_signatures import read_form_claim
from dataplane.auth.post_policy import read_policy
from dataplane.wire.bodies import read_promise
from dataplane.wire.form_file import FormFile
from dataplane.wire.form_parts import read_boundary
from dataplane.wire.payload import read_payload
from dataplane.wire.post_form import PostForm, read_post_form
from tests.support.wire_bodies import BytesBody, read_all
from tests.unit.dataplane.fuzz.fuzzing import answers_or_refuses, fuzzed, header_text, mutated

TYPE = "multipart/form-data; boundary=edge"
FILE = b"what the file holds\r\n--edg"


def part(name: str, value: bytes, *, also: str = "") -> bytes:
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{also}\r\n\r\n'.encode() + value + b"\r\n"


FORM = (
    part("key", b"folder/${filename}")
    + part("Content-Type", b"text/plain")
    + part("x-amz-meta-colour", b"blue")
    + part("success_action_redirect", b"https://example.com/a?b#c")
    + part("success_action_status", b"201")
    + part("policy", b"e30=")
    + part("x-amz-algorithm", b"AWS4-HMAC-SHA256")
    + part("x-amz-credential", b"AKIDEXAMPLE/20261124/us-east-1/s3/aws4_request")
    + part("x-amz-date", b"20261124T120000Z")
    + part("x-amz-signature", b"0" * 64)
    + part("file", FILE, also='; filename="C:\\pictures\\a \\"b\\".txt"\r\nContent-Type: text/plain')
    + part("submit", b"Upload")
    + b"--edge--\r\n"
)


def file_of(form: PostForm, raw: BytesBody) -> FormFile:
    return FormFile(
        raw,
        form.boundary,
        begun=form.head.begun,
        left_bytes=form.left_bytes,
        promise=read_promise({}, read_payload("UNSIGNED-PAYLOAD")),
        check_size=lambda size_bytes: None,
    )


def read_file(file: FormFile) -> bytes:
    """As the engine reads an open-ended body."""
    certain = bytearray(file.certain_bytes)
    filled = 0
    while filled < len(certain):
        filled += file.readinto(memoryview(certain)[filled:])
    size_bytes = file.settle()
    rest = read_all(file, buffer_bytes=64)
    file.finish()
    assert size_bytes == len(certain) + len(rest)
    return bytes(certain) + rest


@fuzzed
@given(
    raw=st.one_of(st.binary(max_size=300), mutated(FORM)),
    pieces=st.lists(st.integers(1, 200), min_size=1, max_size=3),
)
@example(raw=FORM, pieces=[7])
def test_forms(raw: bytes, pieces: list[int]) -> None:
    body = BytesBody(raw, piece_sizes=pieces)

    form = answers_or_refuses(lambda: read_post_form(body, TYPE))
    if form is None:
        return
    answers_or_refuses(lambda: form.key)
    headers = answers_or_refuses(form.headers)
    assert headers is None or all("\n" not in each and "\r" not in each for each in headers.values())
    answers_or_refuses(lambda: read_form_claim(form.fields, region="us-east-1"))
    assert form.success_status in {200, 201, 204}
    redirect = form.redirect(bucket="b", key=b"k", etag="e")
    assert redirect is None or (redirect.isascii() and redirect.isprintable())
    kept = answers_or_refuses(lambda: read_file(file_of(form, body)))
    assert kept is None or b"\r\n--edge" not in kept
    assert raw != FORM or kept == FILE


@fuzzed
@given(st.one_of(header_text, st.from_regex(r'multipart/form-data; *boundary="?.{0,80}"?', fullmatch=True)))
def test_boundaries(text: str) -> None:
    boundary = answers_or_refuses(lambda: read_boundary(text))

    assert boundary is None or 0 < len(boundary) <= 70


json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=10),
        st.sampled_from(["eq", "starts-with", "content-length-range", "$key", "key", "2026-11-24T12:00:00Z"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["expiration", "conditions", "key", "bucket", ""]), inner, max_size=3
        ),
    ),
    max_leaves=12,
)
POLICY = (
    b'{"expiration": "2026-11-24T12:00:00.000Z", "conditions": [{"bucket": "b"}, ["starts-with", "$key", "a/"],'
    b' ["eq", "$x-amz-meta-a", "1"], ["content-length-range", 1, 1048576]]}'
)


@fuzzed
@given(
    document=st.one_of(
        st.binary(max_size=200),
        mutated(POLICY),
        json_values.map(lambda value: json.dumps(value).encode()),
        st.builds(lambda depth: b"[" * depth, st.integers(0, 9000)),
    ),
    fields=st.dictionaries(st.sampled_from(["key", "bucket", "x-amz-meta-a", "file"]), st.text(max_size=5)),
)
@example(
    document=b'{"expiration":"2026-11-24T12:00:00Z","conditions":[["content-length-range",1,1e999]]}',
    fields={},
)
@example(document=b'{"conditions":' + b"9" * 5000 + b"}", fields={})
def test_policies(document: bytes, fields: dict[str, str]) -> None:
    policy = answers_or_refuses(lambda: read_policy(base64.b64encode(document).decode()))
    if policy is None:
        return
    answers_or_refuses(lambda: policy.require_alive(0))
    answers_or_refuses(lambda: policy.require(fields))
    answers_or_refuses(lambda: policy.require_size(5))


@fuzzed
@given(st.text(max_size=60))
def test_policies_that_are_no_base64(text: str) -> None:
    answers_or_refuses(lambda: read_policy(text))
