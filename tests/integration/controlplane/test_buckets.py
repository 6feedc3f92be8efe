"""BucketService and UsageService: what is made, seen, changed and deleted through the API, and why not."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from penstock.admin.v1 import (
    bucket_pb2,
    bucket_service_pb2,
    origin_pb2,
    usage_service_pb2,
    worker_service_pb2,
)

from dataplane.wire.cors_documents import read_cors
from dataplane.wire.tagging import read_tagging
from engine.cors import write_rules
from engine.metadata.bucket_usage import NamedBucket
from engine.metadata.buckets import find_bucket
from engine.names import bucket_name
from engine.records import DocumentKind, UsageKind
from engine.tags import BUCKET_TAG_COUNT_MAX, write_tags
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, put_object, write_config

CONFIGURED = """\
identities:
  - {name: alice, account: main, access_key_id: AKIAALICE, secret_access_key: "kept-to-itself-01234", role: superuser}
buckets:
  - {name: films, account: main, quota_bytes: 1MiB}
"""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    with RunningPlane(write_config(tmp_path, extra=CONFIGURED)) as plane:
        yield plane


def bucket(name: str = "photos", **fields: Any) -> bucket_pb2.Bucket:
    return bucket_pb2.Bucket(name=f"buckets/{name}", account="accounts/main", **fields)


def create(client: Client, wanted: bucket_pb2.Bucket, **options: Any) -> bucket_pb2.Bucket:
    made: bucket_pb2.Bucket = client(
        "bucket", bucket_service_pb2.CreateBucketRequest(bucket=wanted, **options)
    ).bucket
    return made


def get(client: Client, name: str = "photos") -> bucket_pb2.Bucket:
    found: bucket_pb2.Bucket = client(
        "bucket", bucket_service_pb2.GetBucketRequest(name=f"buckets/{name}")
    ).bucket
    return found


def update(client: Client, wanted: bucket_pb2.Bucket, *paths: str, **options: Any) -> bucket_pb2.Bucket:
    request = bucket_service_pb2.UpdateBucketRequest(bucket=wanted, **options)
    request.update_mask.paths.extend(paths)
    changed: bucket_pb2.Bucket = client("bucket", request).bucket
    return changed


def test_a_bucket_is_made_as_it_was_asked_for(client: Client) -> None:
    made = create(
        client,
        bucket(
            versioning=bucket_pb2.VERSIONING_ENABLED,
            quota_bytes=1000,
            scheme="copies(2)",
            seal=bucket_pb2.SEALING_ALL,
        ),
    )

    assert made == get(client)
    assert (made.account, made.origin, made.configured) == ("accounts/main", origin_pb2.ORIGIN_API, False)
    assert (made.versioning, made.quota_bytes) == (bucket_pb2.VERSIONING_ENABLED, 1000)
    assert (made.scheme, made.seal) == ("copies(2)", bucket_pb2.SEALING_ALL)
    assert made.etag
    assert made.create_time.seconds


def test_a_bucket_tells_what_is_in_it(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", bytes(1000))

    found = get(client)

    assert (found.used_bytes, found.version_count) == (1000, 1)
    assert not found.HasField("quota_bytes")
    assert found.versioning == bucket_pb2.VERSIONING_OFF
    assert found.seal == bucket_pb2.SEALING_UNSPECIFIED


def test_buckets_are_listed_in_pages_of_all_accounts_or_one(plane: RunningPlane, client: Client) -> None:
    for name in ("ccc", "aaa", "bbb"):
        create(client, bucket(name))

    first = client("bucket", bucket_service_pb2.ListBucketsRequest(page_size=3))
    rest = client("bucket", bucket_service_pb2.ListBucketsRequest(page_token=first.next_page_token))
    of_main = client("bucket", bucket_service_pb2.ListBucketsRequest(account="accounts/main"))
    nobody = failure(lambda: client("bucket", bucket_service_pb2.ListBucketsRequest(account="accounts/none")))

    assert [each.name for each in first.buckets] == ["buckets/aaa", "buckets/bbb", "buckets/ccc"]
    assert ([each.name for each in rest.buckets], rest.next_page_token) == (["buckets/films"], "")
    assert len(of_main.buckets) == 4
    assert nobody.code == grpc.StatusCode.NOT_FOUND


def test_a_trial_says_what_would_be_and_leaves_everything_as_it_is(client: Client) -> None:
    would_be = create(client, bucket(quota_bytes=5), validate_only=True)
    missing = failure(lambda: get(client))
    made = create(client, bucket())
    would_change = update(client, bucket(quota_bytes=7), "quota_bytes", validate_only=True)
    client("bucket", bucket_service_pb2.DeleteBucketRequest(name="buckets/photos", validate_only=True))

    assert would_be.quota_bytes == 5
    assert missing.code == grpc.StatusCode.NOT_FOUND
    assert would_change.quota_bytes == 7
    assert get(client) == made


def test_only_what_the_mask_names_is_changed(client: Client) -> None:
    create(client, bucket(quota_bytes=5, scheme="copies(2)"))

    changed = update(client, bucket(versioning=bucket_pb2.VERSIONING_ENABLED), "versioning", "quota_bytes")

    assert changed == get(client)
    assert (changed.versioning, changed.scheme) == (bucket_pb2.VERSIONING_ENABLED, "copies(2)")
    assert not changed.HasField("quota_bytes")


def test_an_old_etag_is_refused(client: Client) -> None:
    made = create(client, bucket())
    update(client, bucket(quota_bytes=5), "quota_bytes")

    stale = failure(lambda: update(client, bucket(etag=made.etag, quota_bytes=6), "quota_bytes"))

    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


def test_what_the_configuration_says_is_refused_by_name(client: Client) -> None:
    assert get(client, "films").configured

    for refused in (
        failure(lambda: update(client, bucket("films", quota_bytes=5), "quota_bytes")),
        failure(lambda: client("bucket", bucket_service_pb2.DeleteBucketRequest(name="buckets/films"))),
        failure(
            lambda: client("usage", usage_service_pb2.UpdateQuotaRequest(name="buckets/films", limit_bytes=5))
        ),
    ):
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OWNED_BY_CONFIG")
        assert "buckets/films" in refused.text
    changed = update(client, bucket("films", versioning=bucket_pb2.VERSIONING_ENABLED), "versioning")
    assert changed.versioning == bucket_pb2.VERSIONING_ENABLED


def test_the_configuration_does_not_take_the_name_of_a_bucket_made_by_a_call(tmp_path: Path) -> None:
    config = write_config(tmp_path, extra=CONFIGURED)
    with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
        create(Client(channel), bucket())
    config.write_text(config.read_text() + "  - {name: photos, account: main}\n")

    with pytest.raises(Exception, match=r"'photos' was made by a client"):
        RunningPlane(config)


@pytest.mark.parametrize(
    ("wanted", "at_fault"),
    [
        (bucket_pb2.Bucket(name="photos", account="accounts/main"), "bucket.name"),
        (bucket_pb2.Bucket(name="buckets/photos", account="main"), "bucket.account"),
        (bucket_pb2.Bucket(name="buckets/photos"), "bucket.account"),
        (bucket(quota_bytes=-1), "bucket.quota_bytes"),
        (bucket(scheme="erasure(4,2)"), "bucket.scheme"),
        (bucket(scheme="copies(0)"), "bucket.scheme"),
        (bucket(versioning=77), "bucket.versioning"),
        (bucket(seal=77), "bucket.seal"),
    ],
)
def test_a_malformed_bucket_is_refused_by_field(
    client: Client, wanted: bucket_pb2.Bucket, at_fault: str
) -> None:
    refused = failure(lambda: create(client, wanted))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [at_fault])


def test_a_name_that_s3_does_not_allow_is_refused(client: Client) -> None:
    refused = failure(lambda: create(client, bucket("Not_Allowed")))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_BUCKET_NAME")


@pytest.mark.parametrize("paths", [(), ("account",), ("quota_bytes", "etag")])
def test_a_mask_names_what_can_be_changed_and_something(client: Client, paths: tuple[str, ...]) -> None:
    create(client, bucket())

    refused = failure(lambda: update(client, bucket(), *paths))

    assert (refused.code, list(refused.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, ["update_mask"])


def test_a_taken_name_and_a_missing_account_are_told_apart(client: Client) -> None:
    create(client, bucket())

    taken = failure(lambda: create(client, bucket()))
    nobody = failure(lambda: create(client, bucket_pb2.Bucket(name="buckets/other", account="accounts/none")))

    assert (taken.code, taken.reason) == (grpc.StatusCode.ALREADY_EXISTS, "BUCKET_EXISTS")
    assert (nobody.code, nobody.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_RESOURCE")


def test_only_an_empty_bucket_goes(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", b"x")
    create(client, bucket("empty"))

    full = failure(lambda: client("bucket", bucket_service_pb2.DeleteBucketRequest(name="buckets/photos")))
    client("bucket", bucket_service_pb2.DeleteBucketRequest(name="buckets/empty"))

    assert (full.code, full.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUCKET_NOT_EMPTY")
    assert failure(lambda: get(client, "empty")).code == grpc.StatusCode.NOT_FOUND


# --- usage ---


def test_a_quota_is_set_and_taken_away(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", bytes(1000))

    lowered = client(
        "usage", usage_service_pb2.UpdateQuotaRequest(name="buckets/photos", limit_bytes=10)
    ).quota
    trial = client("usage", usage_service_pb2.UpdateQuotaRequest(name="buckets/photos", validate_only=True))
    still = get(client).quota_bytes
    taken = client("usage", usage_service_pb2.UpdateQuotaRequest(name="buckets/photos")).quota

    assert (lowered.usage.limit_bytes, lowered.usage.used_bytes) == (10, 1000)
    assert not trial.quota.usage.HasField("limit_bytes")
    assert still == 10
    assert not taken.usage.HasField("limit_bytes")


def test_a_backends_limit_is_the_configurations(client: Client) -> None:
    refused = failure(
        lambda: client("usage", usage_service_pb2.UpdateQuotaRequest(name="backends/v1", limit_bytes=5))
    )

    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OWNED_BY_CONFIG")


def test_what_is_stored_is_told_one_by_one_and_in_all(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", bytes(100_000))

    paged, token = [], ""
    while True:
        page = client("usage", usage_service_pb2.ListQuotasRequest(page_size=1, page_token=token))
        paged += page.quotas
        token = page.next_page_token
        if not token:
            break
    summed = client("usage", usage_service_pb2.GetUsageRequest())

    assert [(each.name, each.configured) for each in paged] == [
        ("backends/v1", True),
        ("backends/v2", True),
        ("buckets/films", True),
        ("buckets/photos", False),
    ]
    assert (summed.backend_count, summed.bucket_count) == (2, 2)
    assert (summed.buckets.used_bytes, summed.buckets.item_count) == (100_000, 1)
    assert summed.backends.used_bytes == sum(each.usage.used_bytes for each in paged[:2]) > 100_000


def test_a_months_use_is_told_against_its_limits(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    text = config.read_text()
    text = text.replace(
        "path: volumes/v1", "path: volumes/v1, quota_bytes: 1GiB, limits: {ingress_bytes: 1GiB}"
    )
    text = text.replace("path: volumes/v2", "path: volumes/v2, limits: {api_requests: {write: 0}}")
    config.write_text(text)

    with RunningPlane(config) as plane, plane.channel(socket="viewer") as channel:
        client = Client(channel)
        put_object(plane.opened, "photos", "k", bytes(100_000))
        page = client("usage", usage_service_pb2.ListBackendUsageRequest(page_size=1))
        rest = client(
            "usage", usage_service_pb2.ListBackendUsageRequest(page_token=page.next_page_token)
        ).usages
        quotas = client("usage", usage_service_pb2.ListQuotasRequest()).quotas

    used = {(each.backend, each.kind): each for each in [*page.usages, *rest]}
    ingress = used["backends/v1", usage_service_pb2.USAGE_KIND_INGRESS_BYTES]
    assert len(page.usages) == 1
    assert 0 <= ingress.used_amount + ingress.leased_amount <= ingress.limit_amount == 1 << 30
    assert ingress.used_amount + ingress.leased_amount > 100_000
    writes = used["backends/v2", usage_service_pb2.USAGE_KIND_WRITE_REQUESTS]
    assert (writes.used_amount, writes.limit_amount, writes.HasField("reached_time")) == (0, 0, True)
    assert 0 < page.reset_time.seconds - time.time() <= 31 * 86_400
    # Nobody can tell yet: the backends were made just now.
    assert [each.HasField("full_time") for each in quotas[:2]] == [False, False]


RULE = bucket_pb2.CorsRule(
    id="pages",
    allowed_origins=["https://*.example.org"],
    allowed_methods=["GET", "PUT"],
    allowed_headers=["*"],
    expose_headers=["etag"],
    max_age=Duration(seconds=600),
)
RULE_OF_CLIENTS = b"""\
<CORSConfiguration><CORSRule><ID>pages</ID><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>\
<AllowedOrigin>https://*.example.org</AllowedOrigin><AllowedHeader>*</AllowedHeader><MaxAgeSeconds>600</MaxAgeSeconds>\
<ExposeHeader>etag</ExposeHeader></CORSRule></CORSConfiguration>"""
TAGS_OF_CLIENTS = b"""\
<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag><Tag><Key>b</Key><Value/></Tag></TagSet></Tagging>"""


def document(plane: RunningPlane, kind: DocumentKind) -> str | None:
    return plane.opened.use.documents.find(bucket_name("photos"), kind)


def test_tags_and_rules_are_those_that_clients_see(plane: RunningPlane, client: Client) -> None:
    made = create(client, bucket(tags={"b": "", "a": "1"}, cors_rules=[RULE]))

    assert document(plane, DocumentKind.CORS) == write_rules(read_cors(RULE_OF_CLIENTS))
    assert document(plane, DocumentKind.TAGGING) == write_tags(
        read_tagging(TAGS_OF_CLIENTS, count_max=BUCKET_TAG_COUNT_MAX)
    )
    assert (dict(made.tags), list(made.cors_rules)) == ({"a": "1", "b": ""}, [RULE])
    assert made == get(client)


def test_tags_and_rules_that_are_emptied_are_gone(plane: RunningPlane, client: Client) -> None:
    made = create(client, bucket(tags={"a": "1"}, cors_rules=[RULE]))

    kept = update(client, bucket(tags={"c": "3"}), "tags")
    emptied = update(client, bucket(), "tags", "cors_rules", validate_only=True)
    before = document(plane, DocumentKind.CORS)
    update(client, bucket(), "tags", "cors_rules")

    assert (dict(kept.tags), list(kept.cors_rules)) == ({"c": "3"}, [RULE])
    assert kept.etag != made.etag
    assert (dict(emptied.tags), list(emptied.cors_rules)) == ({}, [])
    assert before is not None
    assert document(plane, DocumentKind.CORS) is None
    assert document(plane, DocumentKind.TAGGING) is None


def test_a_bucket_of_the_configuration_may_be_tagged(client: Client) -> None:
    assert dict(update(client, bucket("films", tags={"a": "1"}), "tags").tags) == {"a": "1"}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (bucket(tags={"": "1"}), "bucket.tags"),
        (bucket(tags={"aws:x": "1"}), "bucket.tags"),
        (bucket(tags={"a": "?"}), "bucket.tags"),
        (bucket(tags={str(n): "" for n in range(51)}), "bucket.tags"),
        (bucket(cors_rules=[bucket_pb2.CorsRule()]), "bucket.cors_rules[0].allowed_origins"),
        (
            bucket(
                cors_rules=[
                    RULE,
                    bucket_pb2.CorsRule(allowed_origins=["*"], allowed_methods=["GET", "PATCH"]),
                ]
            ),
            "bucket.cors_rules[1].allowed_methods",
        ),
        (
            bucket(cors_rules=[bucket_pb2.CorsRule(allowed_origins=["a,b"], allowed_methods=["GET"])]),
            "bucket.cors_rules[0].allowed_origins",
        ),
        (
            bucket(
                cors_rules=[
                    bucket_pb2.CorsRule(
                        allowed_origins=["*"], allowed_methods=["GET"], max_age=Duration(seconds=1, nanos=1)
                    )
                ]
            ),
            "bucket.cors_rules[0].max_age",
        ),
        (bucket(cors_rules=[RULE] * 101), "bucket.cors_rules"),
    ],
)
def test_what_no_tag_or_rule_may_say_is_refused_by_its_field(
    client: Client, wanted: bucket_pb2.Bucket, field: str
) -> None:
    failed = failure(lambda: create(client, wanted))

    assert (failed.code, list(failed.fields)) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


def test_use_and_what_is_stored_are_told_by_day_and_by_hour(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "photos", "k", bytes(100_000))
    worker = worker_service_pb2.TriggerWorkerRequest(name="workers/usage", wait=True)

    client("worker", worker)
    by_day = client("usage", usage_service_pb2.QueryUsageHistoryRequest())
    page = client("usage", usage_service_pb2.QueryUsageHistoryRequest(page_size=1))
    rest = client(
        "usage", usage_service_pb2.QueryUsageHistoryRequest(page_size=1, page_token=page.next_page_token)
    )
    by_hour = client(
        "usage",
        usage_service_pb2.QueryUsageHistoryRequest(
            name="backends/v1", step=usage_service_pb2.USAGE_STEP_HOUR
        ),
    )
    bucket = client("usage", usage_service_pb2.QueryUsageHistoryRequest(name="buckets/photos"))

    assert [each.name for each in by_day.usages] == ["backends/v1", "backends/v2"]
    assert sum(each.stored_bytes for each in by_day.usages) > 100_000
    assert all(0 <= time.time() - each.start_time.seconds <= 86_401 for each in by_day.usages)
    assert [*page.usages, *rest.usages] == list(by_day.usages)
    assert not rest.next_page_token
    assert [each.name for each in by_hour.usages] == ["backends/v1"]
    assert [each.stored_bytes for each in bucket.usages] == [100_000]


def test_what_clients_asked_of_buckets_is_listed_page_by_page(plane: RunningPlane, client: Client) -> None:
    listing = usage_service_pb2.ListBucketUsageRequest
    put_object(plane.opened, "photos", "k", bytes(1000))
    asked_of(plane, "photos", UsageKind.READ_REQUESTS, sent_bytes=5000)
    asked_of(plane, "photos", UsageKind.DELETE_REQUESTS)
    asked_of(plane, "films", content_count=1, received_bytes=700)
    create(client, bucket("gone"))
    asked_of(plane, "gone", UsageKind.READ_REQUESTS)
    client("bucket", bucket_service_pb2.DeleteBucketRequest(name="buckets/gone"))

    listed = client("usage", listing())
    week = client("usage", listing(window=Duration(seconds=7 * 86_400)))
    page = client("usage", listing(page_size=2))
    rest = client("usage", listing(page_size=2, page_token=page.next_page_token))
    hours = client(
        "usage",
        usage_service_pb2.QueryUsageHistoryRequest(
            name="buckets/gone", step=usage_service_pb2.USAGE_STEP_HOUR
        ),
    )

    films, gone, photos = listed.usages
    assert films == usage_service_pb2.BucketUsage(
        bucket="buckets/films", write_request_count=1, ingress_bytes=700
    )
    assert gone == usage_service_pb2.BucketUsage(bucket="buckets/gone", read_request_count=1, deleted=True)
    assert photos == usage_service_pb2.BucketUsage(
        bucket="buckets/photos",
        read_request_count=1,
        delete_request_count=1,
        egress_bytes=5000,
        stored_bytes=1000,
    )
    assert listed.since_time.ToDatetime().day == 1
    assert 7 * 86_400 <= time.time() - week.since_time.seconds < 8 * 86_400
    assert len(page.usages) == 2
    assert [*page.usages, *rest.usages] == list(listed.usages) == list(week.usages)
    assert not rest.next_page_token
    assert [each.read_request_count for each in hours.usages] == [1]
    for request in (
        listing(page_token="bm8="),
        listing(page_size=-1),
        listing(window=Duration(seconds=-1)),
    ):
        assert failure(partial(client, "usage", request)).code == grpc.StatusCode.INVALID_ARGUMENT


def test_a_history_of_nothing_is_refused(client: Client) -> None:
    asked = usage_service_pb2.QueryUsageHistoryRequest
    hour = usage_service_pb2.USAGE_STEP_HOUR
    for request, code in (
        (asked(name="backends/none"), grpc.StatusCode.NOT_FOUND),
        (asked(name="buckets/none"), grpc.StatusCode.NOT_FOUND),
        (asked(name="buckets/none", step=hour), grpc.StatusCode.NOT_FOUND),
        (asked(name="photos"), grpc.StatusCode.INVALID_ARGUMENT),
        (asked(page_token="bm8="), grpc.StatusCode.INVALID_ARGUMENT),
        (asked(window=Duration(seconds=-1)), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        assert failure(partial(client, "usage", request)).code == code, request


def test_costs_are_told_of_backends_and_shared_out_among_buckets(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    text = config.read_text()
    price = "cost: {per_gib: 1024, per_million_requests: 1000000}"
    text = text.replace("path: volumes/v1", f"path: volumes/v1, limits: {{ingress_bytes: 1GiB}}, {price}")
    config.write_text(
        text.replace("path: volumes/v2", "path: volumes/v2, failure_domain: other, cost: {per_gib: 1024}")
    )

    with RunningPlane(config) as plane, plane.channel(socket="admin") as channel:
        client = Client(channel)
        put_object(plane.opened, "once", "k", bytes(100_000))
        create(client, bucket("twice", scheme="copies(2)"))
        put_object(plane.opened, "twice", "k", bytes(100_000))
        asked_of(plane, "once", content_count=6)
        # Sixty-four blobs of 64 MiB came with one of its requests.
        asked_of(plane, "twice", content_count=1, received_bytes=64 << 26)
        asked_of(plane, "twice", UsageKind.READ_REQUESTS, received_bytes=0)
        costs = client("usage", usage_service_pb2.ListCostsRequest()).costs

    known = {each.name: each for each in costs}
    assert list(known) == ["backends/v1", "backends/v2", "buckets/once", "buckets/twice"]
    for name in ("backends/v1", "backends/v2"):
        assert known[name].storage_cost == pytest.approx(known[name].stored_bytes / (1 << 20))
    assert known["backends/v1"].request_cost == known["backends/v1"].write_request_count
    stored_cost = sum(each.storage_cost for each in costs if each.name.startswith("backends/"))
    assert known["buckets/once"].storage_cost == pytest.approx(stored_cost / 3)
    assert known["buckets/twice"].storage_cost == pytest.approx(stored_cost * 2 / 3)
    # Six blobs once, and sixty-five twice.
    assert known["buckets/once"].write_request_count == 6
    assert known["buckets/twice"].write_request_count == 1
    written_cost = known["backends/v1"].request_cost
    assert known["buckets/once"].request_cost == pytest.approx(written_cost * 6 / 136)
    assert known["buckets/twice"].request_cost == pytest.approx(written_cost * 130 / 136)


def asked_of(
    plane: RunningPlane,
    name: str,
    kind: UsageKind = UsageKind.WRITE_REQUESTS,
    *,
    content_count: int = 0,
    received_bytes: int = 0,
    sent_bytes: int = 0,
) -> None:
    """Clients asked a bucket of the account `main`, and it was told."""
    account_id = plane.opened.store.read(partial(find_bucket, name=name)).account_id
    plane.opened.bucket_uses.count(
        NamedBucket(name, account_id),
        kind,
        request_count=max(1, content_count),
        content_count=content_count,
        received_bytes=received_bytes,
        sent_bytes=sent_bytes,
    )
    plane.opened.bucket_uses.write()
