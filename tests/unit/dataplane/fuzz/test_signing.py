"""Two implementations of signing agree on every request: botocore signs, in a header or a URL, and we prove it.

What was signed and then changed in any octet that means something is never proven.
"""

from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from dataplane.auth.canonical import canonical_query, canonical_request
from dataplane.auth.identity import Credential, Identity, Role
from dataplane.auth.signing_keys import SigningKeys
from dataplane.auth.sigv4 import Authenticator, SignedRequest
from dataplane.wire.refusals import WireError
from dataplane.wire.target import parse_target
from dataplane.wire.times import parse_amz_date
from engine.errors import EngineError
from tests.support.sigv4_signer import request
from tests.unit.dataplane.fuzz.fuzzing import fuzzed

ENDPOINT = "http://localhost:9000"
KEY = Credentials("AKIDEXAMPLE", "secret/with+odd=letters")
IDENTITY = Identity(name="n", account_id=1, account="a", role=Role.READER)
KNOWN = Credential(access_key_id=KEY.access_key, secret=KEY.secret_key, identity=IDENTITY)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.text("abcXYZ-_.~ +/%ü", min_size=1, max_size=8).filter(lambda name: not name.startswith("X-"))
metadata = st.dictionaries(
    st.from_regex(r"x-amz-meta-[a-zA-Z0-9-]{1,8}", fullmatch=True),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30),
    max_size=4,
).filter(lambda pairs: len({name.lower() for name in pairs}) == len(pairs))
methods = st.sampled_from(["GET", "PUT", "HEAD", "DELETE", "POST"])


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Of a bucket or an object, with any parameters in any order, each escaped as SDKs escape."""
    key = quote(draw(texts), safe="/~")
    pairs = draw(st.lists(st.tuples(names, texts), max_size=5, unique_by=lambda pair: pair[0]))
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)
    return f"{ENDPOINT}/bucket/{key}" + (f"?{query}" if query else "")


def served(signed: AWSRequest) -> SignedRequest:
    """The request as the server has it."""
    parts = urlsplit(signed.url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    headers = [(str(n), str(v)) for n, v in signed.headers.items() if n.lower() != "host"]
    # The server's parser has stripped the ends of values.
    return request(
        str(signed.method), target, [("host", parts.netloc), *((n, v.strip()) for n, v in headers)]
    )


def authenticator(signed: AWSRequest) -> Authenticator:
    signed_at_s = parse_amz_date(signed.context["timestamp"])
    assert signed_at_s is not None
    return Authenticator(
        {KNOWN.access_key_id: KNOWN}.get,
        region="us-east-1",
        now_us=lambda: signed_at_s * 1_000_000,
        signing_keys=SigningKeys(),
    )


def sign(method: str, url: str, headers: dict[str, str], *, in_url: bool) -> AWSRequest:
    unsigned = AWSRequest(method=method, url=url, data=b"", headers=headers)
    if in_url:
        S3SigV4QueryAuth(KEY, "s3", "us-east-1", expires=60).add_auth(unsigned)
    else:
        S3SigV4Auth(KEY, "s3", "us-east-1").add_auth(unsigned)
    return unsigned


@fuzzed
@given(method=methods, url=urls(), headers=metadata, in_url=st.booleans())
def test_what_botocore_signs_is_proven(method: str, url: str, headers: dict[str, str], in_url: bool) -> None:
    signed = sign(method, url, headers, in_url=in_url)

    assert authenticator(signed).authenticate(served(signed)).identity is IDENTITY


@fuzzed
@given(method=methods, url=urls(), headers=metadata)
def test_canonical_requests_are_the_same_text(method: str, url: str, headers: dict[str, str]) -> None:
    theirs = AWSRequest(method=method, url=url, data=b"", headers=headers)
    theirs.context["timestamp"] = "20261124T120000Z"
    theirs.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    signer = S3SigV4Auth(KEY, "s3", "us-east-1")
    text = signer.canonical_request(theirs)
    ours = served(theirs)

    again = canonical_request(
        method=method,
        raw_path=ours.target.raw_path,
        canonical_query=canonical_query(ours.target.raw_query),
        headers=ours.headers,
        signed_headers=sorted({"host", *(name.lower() for name in theirs.headers)}),
        payload_text="UNSIGNED-PAYLOAD",
    )

    assert again.decode("latin-1") == text


@fuzzed
@given(
    url=urls(),
    headers=metadata,
    in_url=st.booleans(),
    at=st.integers(0, 1 << 16),
    octet=st.integers(0x21, 0x7E).map(chr).filter(lambda octet: octet != "#"),
)
def test_a_target_that_was_changed_is_proven_only_where_it_means_the_same(
    url: str, headers: dict[str, str], in_url: bool, at: int, octet: str
) -> None:
    signed = sign("GET", url, headers, in_url=in_url)
    asked = served(signed)
    raw = (
        asked.target.raw_path + (b"?" + asked.target.raw_query if asked.target.raw_query else b"")
    ).decode()
    place = 1 + at % (len(raw) - 1)
    changed = raw[:place] + octet + raw[place + 1 :]
    try:
        target = parse_target(changed.encode())
        proven = authenticator(signed).authenticate(
            SignedRequest(method="GET", target=target, headers=asked.headers)
        )
    except (WireError, EngineError):
        return

    assert proven.identity is IDENTITY
    assert target.raw_path == asked.target.raw_path
    assert sorted(target.query) == sorted(asked.target.query)
