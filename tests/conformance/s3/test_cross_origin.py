"""Browsers of other origins: preflights that nobody signs, answers that pages may see, and silence without rules."""

import uuid

import pytest

from tests.conformance.s3.conftest import DOMAIN
from tests.conformance.s3.wire import Wire
from tests.support.raw_http import Answer, request_bytes

HERE = "https://app.example.com"
RULES = b"""<CORSConfiguration>
<CORSRule><ID>writers</ID><AllowedOrigin>https://*.example.com</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>
<AllowedMethod>GET</AllowedMethod><AllowedHeader>content-*</AllowedHeader><AllowedHeader>X-Amz-Date</AllowedHeader>
<ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-request-id</ExposeHeader><MaxAgeSeconds>300</MaxAgeSeconds></CORSRule>
<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>HEAD</AllowedMethod><AllowedMethod>GET</AllowedMethod></CORSRule>
</CORSConfiguration>"""


@pytest.fixture
def bare(wire: Wire) -> str:
    """The path of a bucket without rules."""
    path = f"/origins-{uuid.uuid4().hex[:12]}"
    wire.put(path, b"")
    return path


@pytest.fixture
def ruled(wire: Wire, bare: str) -> str:
    wire.put(f"{bare}?cors", RULES)
    return bare


def preflight(wire: Wire, target: str, origin: str | None, method: str | None, headers: str = "") -> Answer:
    pairs = [("host", "s3.test")]
    if origin is not None:
        pairs.append(("origin", origin))
    if method is not None:
        pairs.append(("access-control-request-method", method))
    if headers:
        pairs.append(("access-control-request-headers", headers))
    return wire.send(request_bytes("OPTIONS", target, pairs, b""), "OPTIONS")


def told(answer: Answer) -> dict[str, str]:
    """The headers of an answer that speak to browsers, by what they say."""
    names = (
        "allow-origin",
        "allow-credentials",
        "allow-methods",
        "allow-headers",
        "expose-headers",
        "max-age",
    )
    found = {name: answer.header(f"access-control-{name}") for name in names}
    return {name: value for name, value in found.items() if value is not None}


def test_a_preflight_is_answered_by_the_first_rule_that_lets_all_of_it_in(wire: Wire, ruled: str) -> None:
    for target in (ruled, f"{ruled}/not-there", f"{ruled}/k?uploadId=1&partNumber=1"):
        answer = preflight(wire, target, HERE, "PUT", "Content-Type, x-amz-date")
        assert (answer.status, told(answer)) == (
            200,
            {
                "allow-origin": HERE,
                "allow-credentials": "true",
                "allow-methods": "PUT, GET",
                "allow-headers": "content-type, x-amz-date",
                "expose-headers": "ETag, x-amz-request-id",
                "max-age": "300",
            },
        )
        assert "Origin" in (answer.header("vary") or "")
    anybody = preflight(wire, f"{ruled}/k", "http://else.where", "GET")
    assert told(anybody) == {"allow-origin": "*", "allow-methods": "HEAD, GET"}


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        ("http://app.example.com", "PUT", ""),
        ("https://app.example.com.evil.org", "PUT", ""),
        ("https://example.com", "PUT", ""),
        (HERE, "DELETE", ""),
        (HERE, "PUT", "x-other"),
        (HERE, "PUT", "content-type, authorization"),
        ("http://else.where", "GET", "content-type"),
    ],
)
def test_what_no_rule_lets_in_is_forbidden(
    wire: Wire, ruled: str, origin: str, method: str, headers: str
) -> None:
    answer = preflight(wire, f"{ruled}/k", origin, method, headers)

    assert (answer.said, told(answer)) == ((403, "AccessForbidden"), {})


def test_strangers_learn_nothing_of_buckets_without_rules(wire: Wire, bare: str) -> None:
    answers = [preflight(wire, target, HERE, "GET") for target in (bare, "/nobody-has-this-one/k", "/")]

    assert {answer.said for answer in answers} == {(403, "AccessForbidden")}
    assert all(b"CORSResponse: CORS is not enabled for this bucket." in answer.body for answer in answers)
    assert [told(answer) for answer in answers] == [{}, {}, {}]


def test_a_preflight_that_is_none(wire: Wire, ruled: str) -> None:
    for origin, method, headers in (
        (None, "GET", ""),
        (HERE, None, ""),
        (HERE, "FOO", ""),
        ("a b", "GET", ""),
        ("https://a,https://b", "GET", ""),
        (HERE, "GET", "a b"),
        (HERE, "GET", ",".join(f"x-{number}" for number in range(101))),
    ):
        assert preflight(wire, ruled, origin, method, headers).said == (400, "BadRequest")


def test_answers_and_errors_reach_the_pages_that_rules_let_in(wire: Wire, ruled: str) -> None:
    origin = [("origin", HERE)]
    stored = wire.ask("PUT", f"{ruled}/k", origin, body=b"x")
    read = wire.get(f"{ruled}/k", origin)
    missing = wire.get(f"{ruled}/not-there", origin)
    unsigned = wire.send(request_bytes("GET", f"{ruled}/k", [("host", "s3.test"), *origin], b""))

    expected = {
        "allow-origin": HERE,
        "allow-credentials": "true",
        "allow-methods": "PUT, GET",
        "expose-headers": "ETag, x-amz-request-id",
        "max-age": "300",
    }
    assert (stored.status, read.status, missing.said) == (200, 200, (404, "NoSuchKey"))
    assert unsigned.said == (403, "AccessDenied")
    assert [told(each) for each in (stored, read, missing, unsigned)] == [expected] * 4
    deleted = wire.ask("DELETE", f"{ruled}/k", origin)
    assert (deleted.status, told(deleted), "Origin" in (deleted.header("vary") or "")) == (204, {}, True)
    anybody = wire.get(f"{ruled}/k", [("origin", "http://else.where")])
    assert told(anybody) == {"allow-origin": "*", "allow-methods": "HEAD, GET"}
    assert told(wire.get(f"{ruled}/k")) == {}


def test_ghsa_x5xv_without_rules_no_origin_is_let_in(wire: Wire, bare: str) -> None:
    wire.put(f"{bare}/k", b"x")
    for target in (f"{bare}/k", f"{bare}/none", "/"):
        for origin in ("https://evil.example", "null", "*"):
            assert told(wire.get(target, [("origin", origin)])) == {}


def test_cve_2020_10753_what_is_exposed_breaks_no_header(wire: Wire, ruled: str) -> None:
    rule = RULES.replace(b"ETag", b"X&#13;&#10;Set-Cookie: a")

    refused = wire.ask("PUT", f"{ruled}?cors", body=rule)

    assert refused.said == (400, "MalformedXML")
    answer = wire.get(f"{ruled}/k", [("origin", HERE)])
    assert (told(answer)["expose-headers"], answer.header("set-cookie")) == ("ETag, x-amz-request-id", None)


def test_rules_hold_from_the_moment_they_are_put_in_every_process(wire: Wire, bare: str) -> None:
    for _ in range(3):
        wire.put(f"{bare}?cors", RULES)
        # Each on a connection of its own, so that both processes are asked.
        assert {preflight(wire, bare, HERE, "PUT").status for _ in range(8)} == {200}
        assert wire.ask("DELETE", f"{bare}?cors").status == 204
        assert {preflight(wire, bare, HERE, "PUT").status for _ in range(8)} == {403}


def test_a_buckets_own_host_has_its_rules(wire: Wire, ruled: str) -> None:
    host = [("host", f"{ruled[1:]}.{DOMAIN}"), ("origin", HERE)]
    asked = [*host, ("access-control-request-method", "PUT")]

    answer = wire.send(request_bytes("OPTIONS", "/k", asked, b""), "OPTIONS")
    assert (answer.status, told(answer)["allow-origin"]) == (200, HERE)
    unsigned = wire.send(request_bytes("GET", "/k", host, b""))
    assert (unsigned.said, told(unsigned)["allow-origin"]) == ((403, "AccessDenied"), HERE)
