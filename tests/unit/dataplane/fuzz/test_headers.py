"""Headers and small texts that are odd in any way."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.wire.attributes import read_attributes_query
from dataplane.wire.bodies import read_promise
from dataplane.wire.conditions import ReadConditions, WriteConditions, range_applies, read_remove_conditions
from dataplane.wire.copy_source import read_copy_range, read_copy_source
from dataplane.wire.cors import actual_headers, preflight_headers, read_preflight
from dataplane.wire.fields import gather_fields
from dataplane.wire.forwarded import TrustedProxies, client_network, read_address
from dataplane.wire.headers import object_response_headers, read_object_headers
from dataplane.wire.parameters import read_object_size, read_token, read_version_id, read_version_marker
from dataplane.wire.payload import read_payload
from dataplane.wire.ranges import parse_range
from dataplane.wire.tagging import read_tagging_header
from dataplane.wire.times import parse_amz_date, parse_http_date
from engine.cors import CorsRule
from engine.tags import parse_tags, write_tags
from tests.unit.dataplane.fuzz.fuzzing import answers_or_refuses, fuzzed, header_text


@fuzzed
@given(
    header=st.one_of(header_text, st.from_regex(r"bytes=[0-9]{0,30}-[0-9]{0,30}", fullmatch=True)),
    size_bytes=st.integers(0, 2**43),
)
def test_ranges(header: str, size_bytes: int) -> None:
    span = answers_or_refuses(lambda: parse_range(header, size_bytes))

    assert span is None or 0 <= span.start < span.stop <= size_bytes


NAMES = st.sampled_from(
    [
        "content-md5", "content-type", "content-encoding", "if-match", "if-none-match", "if-range", "if-modified-since",
        "x-amz-meta-a", "x-amz-meta-", "x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm",
        "x-amz-trailer", "x-amz-storage-class", "x-amz-copy-source", "x-amz-copy-source-range",
        "x-amz-copy-source-if-match", "x-amz-if-match-size", "x-amz-if-match-last-modified-time", "range", "date",
        "x-amz-object-attributes", "x-amz-max-parts", "x-amz-mp-object-size", "expires",
    ]
)  # fmt: skip


@fuzzed
@given(
    pairs=st.lists(st.tuples(NAMES, st.one_of(header_text, st.text('AB=+/,- W"*', max_size=50))), max_size=8)
)
def test_headers(pairs: list[tuple[str, str]]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in pairs]
    headers = answers_or_refuses(lambda: gather_fields(raw))
    if headers is None:
        return
    stored = answers_or_refuses(lambda: read_object_headers(headers))
    if stored is not None:
        assert all("\n" not in value and "\r" not in value for _, value in object_response_headers(stored))
    for kind in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        answers_or_refuses(read_promise, headers, read_payload(kind))
    answers_or_refuses(lambda: ReadConditions.of(headers).hold("e", 1))
    answers_or_refuses(lambda: WriteConditions.of(headers))
    answers_or_refuses(lambda: read_remove_conditions(headers))
    answers_or_refuses(lambda: ReadConditions.of(headers, prefix="x-amz-copy-source-").require("e", 1))
    answers_or_refuses(lambda: read_copy_source(headers))
    answers_or_refuses(lambda: read_copy_range(headers))
    answers_or_refuses(lambda: read_attributes_query(headers))
    answers_or_refuses(lambda: read_object_size(headers))
    range_applies(headers, etag="e", modified_at_us=1)


@fuzzed
@given(st.one_of(st.text(max_size=60), header_text))
def test_small_texts(text: str) -> None:
    parse_http_date(text)
    parse_amz_date(text)
    for read in (read_token, read_version_id, read_version_marker, read_payload):
        answers_or_refuses(read, text)
    read_address(text)
    client_network(text)


@fuzzed
@given(st.one_of(header_text, st.text("ab=&%+2Fé", max_size=40)))
def test_tags_in_headers(text: str) -> None:
    tags = answers_or_refuses(lambda: read_tagging_header(text))

    assert tags is None or parse_tags(write_tags(tags)) == tags


RULES = (
    CorsRule(
        rule_id=None,
        origins=("https://*.b",),
        methods=("PUT",),
        headers=("x-*",),
        exposed=("etag",),
        max_age_s=1,
    ),
    CorsRule(rule_id="all", origins=("*",), methods=("GET",), headers=("*",), exposed=(), max_age_s=None),
)


@fuzzed
@given(
    origin=st.one_of(header_text, st.text("https:/.ab*,\r\n", max_size=30)),
    method=st.one_of(st.sampled_from(["PUT", "GET", "put", "*"]), header_text),
    names=st.one_of(header_text, st.text("xX-a, \t*", max_size=30)),
)
def test_answers_to_other_origins_hold_nothing_that_breaks_a_header(
    origin: str, method: str, names: str
) -> None:
    fields = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": names,
    }
    asked = answers_or_refuses(lambda: read_preflight(fields))

    told = actual_headers(RULES, origin, method)
    if asked is not None:
        told += preflight_headers(RULES, asked) or []
    assert all(value.isascii() and value.isprintable() for _, value in told)


@fuzzed
@given(
    peer=st.sampled_from(["10.0.0.1", "192.0.2.1", "::1", "unix"]),
    forwarded=st.one_of(header_text, st.text("0123456789abcdef:., %", max_size=60)),
)
def test_only_a_proxy_says_who_asks(peer: str, forwarded: str) -> None:
    proxies = TrustedProxies([ip_network("10.0.0.0/8")])

    client = proxies.client_of(peer, forwarded)

    assert client == peer or (peer == "10.0.0.1" and read_address(client) is not None)


def test_a_refusal_of_the_wrong_kind_would_be_seen() -> None:
    with pytest.raises(ZeroDivisionError):
        answers_or_refuses(lambda: 1 // 0)
