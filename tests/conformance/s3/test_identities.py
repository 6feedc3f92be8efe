"""Who is held to a role or to buckets stays within them, by every way in: paths, copies, forms, listings."""

from dataplane.wire.operations import AuthKind, Kind
from dataplane.wire.served_operations import SERVED
from tests.conformance.s3.conftest import LIMITED_BUCKET
from tests.conformance.s3.wire import BUCKET, SENTINEL, SENTINEL_BODY, Wire
from tests.support.post_forms import FORM_HEADERS, agreeing, form
from tests.support.raw_http import request_bytes

DENIED = (403, "AccessDenied")


def test_everything_outside_the_list_is_denied(wire: Wire, limited: Wire) -> None:
    targets = {Kind.BUCKET: f"/{BUCKET}", Kind.OBJECT: SENTINEL}
    extra = [("x-amz-copy-source", f"/{LIMITED_BUCKET}/mine")]

    for each in SERVED:
        if each.kind is Kind.SERVICE or AuthKind.HEADER not in each.auth_kinds:
            continue
        query = each.selector.replace("list-type", "list-type=2")
        target = targets[each.kind] + (f"?{query}" if query else "")
        answer = limited.ask(each.method, target, extra if each.is_copy else [])
        assert answer.status == 403, (each.name, answer)
        assert each.method == "HEAD" or answer.code == "AccessDenied", (each.name, answer)
    assert wire.stored(SENTINEL) == SENTINEL_BODY


def test_within_the_list_the_role_holds(limited: Wire) -> None:
    target = f"/{LIMITED_BUCKET}/mine"

    limited.put(target, b"mine")

    assert limited.stored(target) == b"mine"
    assert limited.ask("GET", f"/{LIMITED_BUCKET}?list-type=2").status == 200
    assert limited.ask("DELETE", target).status == 204
    assert limited.ask("DELETE", f"/{LIMITED_BUCKET}").said == DENIED
    assert limited.ask("PUT", "/a-new-bucket-of-theirs").said == DENIED


def test_a_copy_brings_nothing_in_from_outside_the_list(limited: Wire) -> None:
    target = f"/{LIMITED_BUCKET}/copied"
    created = limited.ask("POST", f"{target}?uploads").body
    upload_id = created.partition(b"<UploadId>")[2].partition(b"<")[0].decode()

    for where in (target, f"{target}?partNumber=1&uploadId={upload_id}"):
        for source in (SENTINEL, f"/{BUCKET}/nothing-there", "/never-made/nothing"):
            assert limited.ask("PUT", where, [("x-amz-copy-source", source)]).said == DENIED
    assert limited.stored(target) is None
    assert limited.ask("DELETE", f"{target}?uploadId={upload_id}").status == 204


def test_only_listed_buckets_are_shown(wire: Wire, limited: Wire, other: Wire) -> None:
    assert f"<Name>{BUCKET}</Name>".encode() in wire.get("/").body

    shown = limited.get("/").body

    assert shown.count(b"<Bucket>") == 1
    assert f"<Name>{LIMITED_BUCKET}</Name>".encode() in shown
    assert f"<Name>{BUCKET}</Name>".encode() not in other.get("/").body


def test_a_form_goes_to_a_listed_bucket_only(wire: Wire, limited: Wire, path: str) -> None:
    key = path.removeprefix(f"/{BUCKET}/")

    for bucket, status in ((BUCKET, 403), (LIMITED_BUCKET, 204)):
        body = form(agreeing(limited.signer(), [("key", key)], bucket), b"by form")
        pairs = [("host", "localhost:9000"), *FORM_HEADERS, ("content-length", str(len(body)))]
        assert limited.send(request_bytes("POST", f"/{bucket}", pairs, body), "POST").status == status
    assert wire.stored(path) is None
    assert wire.stored(f"/{LIMITED_BUCKET}/{key}") == b"by form"


def test_a_form_of_another_account_reaches_nothing_of_ours(wire: Wire, other: Wire, path: str) -> None:
    key = path.removeprefix(f"/{BUCKET}/")
    body = form(agreeing(other.signer(), [("key", key)], BUCKET), b"alien")
    pairs = [("host", "localhost:9000"), *FORM_HEADERS, ("content-length", str(len(body)))]

    assert other.send(request_bytes("POST", f"/{BUCKET}", pairs, body), "POST").said == DENIED
    assert wire.stored(path) is None
