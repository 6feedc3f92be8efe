"""`adminctl bucket`: buckets, their settings and what is in them."""

from __future__ import annotations

from typing import BinaryIO

import click
from penstock.admin.v1 import bucket_pb2, origin_pb2
from penstock.admin.v1 import bucket_service_pb2 as pb
from penstock.admin.v1 import bucket_service_pb2_grpc as pb_grpc

from adminctl.bucket_documents import cors_line, cors_rules_of, tags_of
from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, size, when, word, yes_no
from adminctl.quantities import SIZE

_VERSIONING = click.Choice(["off", "enabled", "suspended"])
_SEALING = click.Choice(["default", "none", "all"])


COLUMNS: Columns = {
    "NAME": lambda each: each.name,
    "ACCOUNT": lambda each: each.account.removeprefix("accounts/"),
    "ORIGIN": lambda each: word(origin_pb2.Origin.Name(each.origin), "ORIGIN_"),
    "VERSIONING": lambda each: word(bucket_pb2.Versioning.Name(each.versioning), "VERSIONING_"),
    "VERSIONS": lambda each: str(each.version_count),
    "USED": lambda each: size(each.used_bytes),
    "QUOTA": lambda each: _quota(each),
}


@click.group("bucket")
def command() -> None:
    """Buckets, their settings and what is in them."""


@command.command("list")
@click.option("--account", help="Only buckets of this account.")
@click.pass_obj
def list_buckets(connection: Connection, account: str | None) -> None:
    """List buckets by name."""
    request = pb.ListBucketsRequest(account=resource_name("accounts", account) if account else "")
    with connection.channel() as channel:
        stub = pb_grpc.BucketServiceStub(channel)
        show_list(connection, stub.ListBuckets, request, COLUMNS)


@command.command("get")
@click.argument("name")
@click.pass_obj
def get_bucket(connection: Connection, name: str) -> None:
    """Show one bucket."""
    with connection.channel() as channel:
        request = pb.GetBucketRequest(name=resource_name("buckets", name))
        answer = connection.call(pb_grpc.BucketServiceStub(channel).GetBucket, request)
    _tell(connection, answer, answer.bucket)


@command.command("create")
@click.argument("name")
@click.option("--account", required=True, help="Owner; it has to be there.")
@click.option(
    "--versioning", type=_VERSIONING, default="off", show_default=True, help="Whether to keep versions."
)
@click.option("--quota", type=SIZE, help="Most logical bytes, such as 10GiB. Default: no limit.")
@click.option(
    "--scheme", default="", help="How objects are stored, such as copies(2). Default: the deployment's."
)
@click.option(
    "--seal", type=_SEALING, default="default", show_default=True, help="Whether objects are sealed."
)
@click.option("--dry-run", is_flag=True, help="Check everything, and make nothing.")
@click.pass_obj
def create_bucket(
    connection: Connection,
    name: str,
    account: str,
    versioning: str,
    quota: int | None,
    scheme: str,
    seal: str,
    dry_run: bool,
) -> None:
    """Make a bucket."""
    wanted = bucket_pb2.Bucket(
        name=resource_name("buckets", name),
        account=resource_name("accounts", account),
        versioning=_versioning(versioning),
        quota_bytes=quota,
        scheme=scheme,
        seal=_sealing(seal),
    )
    with connection.channel() as channel:
        request = pb.CreateBucketRequest(bucket=wanted, validate_only=dry_run)
        answer = connection.call(pb_grpc.BucketServiceStub(channel).CreateBucket, request)
    _tell(connection, answer, answer.bucket)


@command.command("update")
@click.argument("name")
@click.option("--versioning", type=_VERSIONING, help="Whether to keep versions; on is never off again.")
@click.option("--quota", type=SIZE, help="Most logical bytes, such as 10GiB.")
@click.option("--no-quota", is_flag=True, help="Take the limit away.")
@click.option("--scheme", help="How new objects are stored, such as copies(2); empty: the deployment's way.")
@click.option("--seal", type=_SEALING, help="Whether new objects are sealed.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="All its tags, one each time.")
@click.option("--no-tags", is_flag=True, help="Take all tags away.")
@click.option(
    "--cors", type=click.File("rb"), help="All its CORS rules: JSON as `aws s3api put-bucket-cors` takes it."
)
@click.option("--no-cors", is_flag=True, help="Take all CORS rules away.")
@click.option("--etag", default="", help="Refuse if the bucket has another etag by now.")
@click.option("--dry-run", is_flag=True, help="Check everything, and change nothing.")
@click.pass_obj
def update_bucket(
    connection: Connection,
    name: str,
    versioning: str | None,
    quota: int | None,
    no_quota: bool,
    scheme: str | None,
    seal: str | None,
    tags: tuple[str, ...],
    no_tags: bool,
    cors: BinaryIO | None,
    no_cors: bool,
    etag: str,
    dry_run: bool,
) -> None:
    """Change settings of a bucket. Tags and CORS rules are replaced as a whole."""
    if quota is not None and no_quota:
        raise click.UsageError("--quota and --no-quota exclude each other")
    if tags and no_tags:
        raise click.UsageError("--tag and --no-tags exclude each other")
    if cors is not None and no_cors:
        raise click.UsageError("--cors and --no-cors exclude each other")
    request = pb.UpdateBucketRequest(validate_only=dry_run)
    request.bucket.name = resource_name("buckets", name)
    request.bucket.etag = etag
    paths = request.update_mask.paths
    if versioning is not None:
        request.bucket.versioning = _versioning(versioning)
        paths.append("versioning")
    if quota is not None:
        request.bucket.quota_bytes = quota
    if quota is not None or no_quota:
        paths.append("quota_bytes")
    if scheme is not None:
        request.bucket.scheme = scheme
        paths.append("scheme")
    if seal is not None:
        request.bucket.seal = _sealing(seal)
        paths.append("seal")
    if tags or no_tags:
        request.bucket.tags.update(tags_of(tags))
        paths.append("tags")
    if cors is not None:
        request.bucket.cors_rules.extend(cors_rules_of(cors))
    if cors is not None or no_cors:
        paths.append("cors_rules")
    if not paths:
        raise click.UsageError("nothing to change: name a setting")
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.BucketServiceStub(channel).UpdateBucket, request)
    _tell(connection, answer, answer.bucket)


@command.command("delete")
@click.argument("name")
@click.option("--etag", default="", help="Refuse if the bucket has another etag by now.")
@click.option("--force", is_flag=True, help="Remove every version and marker in it first.")
@click.option("--dry-run", is_flag=True, help="Check everything, and delete nothing.")
@click.option(
    "--detach", is_flag=True, help="With --force: print the operation's name, and wait for nothing."
)
@yes_option
@click.pass_obj
def delete_bucket(
    connection: Connection, name: str, etag: str, force: bool, dry_run: bool, detach: bool, yes: bool
) -> None:
    """Delete a bucket that holds no version, or with --force any. Open uploads go with it."""
    full_name = resource_name("buckets", name)
    request = pb.DeleteBucketRequest(
        name=full_name,
        etag=etag,
        validate_only=dry_run,
        force=force,
        confirm_name=full_name if force else "",
    )
    with connection.channel() as channel:
        stub = pb_grpc.BucketServiceStub(channel)
        if force and not dry_run:
            bucket = connection.call(stub.GetBucket, pb.GetBucketRequest(name=full_name)).bucket
            plan = f"Deletes {full_name} with {bucket.version_count} versions, {size(bucket.used_bytes)}."
            confirm(full_name.removeprefix("buckets/"), [plan], yes=yes)
        answer = connection.call(stub.DeleteBucket, request)
    if answer.HasField("operation"):
        follow(connection, answer, detach=detach)
    elif not connection.wrote(answer):
        click.echo(f"{full_name}: {'could be deleted' if dry_run else 'deleted'}")


def _tell(
    connection: Connection,
    answer: pb.GetBucketResponse | pb.CreateBucketResponse | pb.UpdateBucketResponse,
    bucket: bucket_pb2.Bucket,
) -> None:
    if connection.wrote(answer):
        return
    print_fields(
        [
            ("name", bucket.name),
            ("account", bucket.account),
            ("origin", word(origin_pb2.Origin.Name(bucket.origin), "ORIGIN_")),
            ("in the configuration", yes_no(bucket.configured)),
            ("created", when(bucket.create_time)),
            ("versioning", word(bucket_pb2.Versioning.Name(bucket.versioning), "VERSIONING_")),
            ("scheme", bucket.scheme or "the deployment's"),
            (
                "seal",
                word(bucket_pb2.Sealing.Name(bucket.seal), "SEALING_") if bucket.seal else "the deployment's",
            ),
            ("quota", _quota(bucket)),
            ("used", size(bucket.used_bytes)),
            ("versions", str(bucket.version_count)),
            ("etag", bucket.etag),
            *((f"tag {key}", bucket.tags[key]) for key in sorted(bucket.tags)),
            *((f"cors rule {at}", cors_line(rule)) for at, rule in enumerate(bucket.cors_rules, 1)),
        ]
    )


def _versioning(text: str) -> bucket_pb2.Versioning.ValueType:
    return bucket_pb2.Versioning.Value(f"VERSIONING_{text.upper()}")


def _sealing(text: str) -> bucket_pb2.Sealing.ValueType:
    return (
        bucket_pb2.SEALING_UNSPECIFIED
        if text == "default"
        else bucket_pb2.Sealing.Value(f"SEALING_{text.upper()}")
    )


def _quota(bucket: bucket_pb2.Bucket) -> str:
    return size(bucket.quota_bytes) if bucket.HasField("quota_bytes") else "none"
