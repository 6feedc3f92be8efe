"""`adminctl object`: where objects lie, what they are, links to them, and their removal."""

from __future__ import annotations

import click
from penstock.admin.v1 import object_service_pb2 as pb
from penstock.admin.v1 import object_service_pb2_grpc as pb_grpc
from penstock.admin.v1 import replication_service_pb2, replication_service_pb2_grpc

from adminctl.client import Connection, resource_name
from adminctl.confirm import confirm, yes_option
from adminctl.following import follow
from adminctl.listing import Columns, show_list
from adminctl.output import print_fields, print_table, size, when, word, yes_no
from adminctl.quantities import SPAN, span_of

TREE: Columns = {
    "KEY": lambda entry: entry.key,
    "SIZE": lambda entry: _at_least(entry, size(entry.size_bytes)),
    "OBJECTS": lambda entry: _at_least(entry, str(entry.object_count)),
    "WRITTEN": lambda entry: when(entry.create_time) or "-",
}
VERSIONS: Columns = {
    "KEY": lambda version: version.key,
    "VERSION": lambda version: version.version_id,
    "IS": lambda version: _is(version),
    "SIZE": lambda version: "-" if version.delete_marker else size(version.size_bytes),
    "WRITTEN": lambda version: when(version.create_time),
}


@click.group("object")
def command() -> None:
    """Where objects lie, what they are, links to them, and their removal."""


@command.command("locations")
@click.argument("bucket")
@click.argument("key")
@click.pass_obj
def locations(connection: Connection, bucket: str, key: str) -> None:
    """Show every piece of an object's current version."""
    answer = pb.GetObjectLocationsResponse()
    with connection.channel() as channel:
        stub = pb_grpc.ObjectServiceStub(channel)
        token = None
        while token != "":
            request = pb.GetObjectLocationsRequest(bucket=bucket, key=key, page_token=token or "")
            page = connection.call(stub.GetObjectLocations, request)
            pieces = [*answer.pieces, *page.pieces]
            answer.CopyFrom(page)
            del answer.pieces[:]
            answer.pieces.extend(pieces)
            token = page.next_page_token
    if connection.wrote(answer):
        return
    click.echo(f"version {answer.version_id}, {size(answer.size_bytes)}, etag {answer.etag}", err=True)
    rows = [
        (
            str(piece.start_offset_bytes),
            size(piece.length_bytes),
            str(piece.piece_index),
            piece.backend,
            piece.storage_key,
            word(pb.PieceState.Name(piece.state), "PIECE_STATE_"),
            yes_no(piece.sealed),
        )
        for piece in answer.pieces
    ]
    print_table(("OFFSET", "LENGTH", "COPY", "BACKEND", "STORAGE KEY", "STATE", "SEALED"), rows)


@command.command("head")
@click.argument("bucket")
@click.argument("key")
@click.option("--version", "version_id", default="", help="Version id. Default: the current version.")
@click.pass_obj
def head(connection: Connection, bucket: str, key: str, version_id: str) -> None:
    """Show what a version carries beside its bytes."""
    with connection.channel() as channel:
        request = pb.HeadObjectRequest(bucket=bucket, key=key, version_id=version_id)
        answer = connection.call(pb_grpc.ObjectServiceStub(channel).HeadObject, request)
    if connection.wrote(answer):
        return
    print_fields(
        [
            ("version", answer.version_id),
            ("size", f"{size(answer.size_bytes)} ({answer.size_bytes} bytes)"),
            ("etag", answer.etag),
            ("written", when(answer.create_time)),
            ("by", answer.account),
            ("storage class", answer.storage_class),
            ("content-type", answer.content_type),
            *sorted(answer.headers.items()),
            *((f"x-amz-meta-{name}", value) for name, value in sorted(answer.user_metadata.items())),
            ("tags", ", ".join(f"{name}={value}" for name, value in sorted(answer.tags.items()))),
            *((f"{each.algorithm} ({each.type})", each.value) for each in answer.checksums),
            ("parts", str(answer.part_count) if answer.part_count else ""),
        ]
    )


@command.command("tree")
@click.argument("bucket")
@click.argument("prefix", default="")
@click.option("--delimiter", default="/", show_default=True, help="What ends a folder.")
@click.pass_obj
def tree(connection: Connection, bucket: str, prefix: str, delimiter: str) -> None:
    """List a folder: its objects, and its folders with what is in them. A `+` says that there is more."""
    request = pb.ListObjectTreeRequest(bucket=bucket, prefix=prefix, delimiter=delimiter)
    with connection.channel() as channel:
        show_list(connection, pb_grpc.ObjectServiceStub(channel).ListObjectTree, request, TREE)


@command.command("versions")
@click.argument("bucket")
@click.argument("prefix", default="")
@click.pass_obj
def versions(connection: Connection, bucket: str, prefix: str) -> None:
    """List versions and delete markers by key, the newest first."""
    request = pb.ListObjectVersionsRequest(bucket=bucket, prefix=prefix)
    with connection.channel() as channel:
        show_list(connection, pb_grpc.ObjectServiceStub(channel).ListObjectVersions, request, VERSIONS)


@command.command("heal")
@click.argument("bucket")
@click.argument("key")
@click.option("--version-id", default="", help="A version of the object; else the current one.")
@click.option("--detach", is_flag=True, help="Print the operation's name and return at once.")
@click.pass_obj
def heal(connection: Connection, bucket: str, key: str, version_id: str, detach: bool) -> None:
    """Read every copy of an object, make bad ones anew, and add what is missing.

    What was imported in place becomes pieces of ours, and is then removed from where it lay.
    """
    request = replication_service_pb2.HealObjectRequest(bucket=bucket, key=key, version_id=version_id)
    with connection.channel() as channel:
        stub = replication_service_pb2_grpc.ReplicationServiceStub(channel)
        answer = connection.call(stub.HealObject, request)
    follow(connection, answer, detach=detach)


@command.command("presign")
@click.argument("bucket")
@click.argument("key")
@click.option("--identity", required=True, help="Who acts by the URL: one of the bucket's account.")
@click.option(
    "--method", type=click.Choice(["get", "put"]), default="get", show_default=True, help="What for."
)
@click.option("--expires", type=SPAN, default="1h", show_default=True, help="How long it works, up to 7d.")
@click.option("--endpoint", default="", help="Where clients reach S3, such as https://s3.example.org.")
@click.option("--version", "version_id", default="", help="Version id to read. Default: the current version.")
@click.pass_obj
def presign(
    connection: Connection,
    bucket: str,
    key: str,
    identity: str,
    method: str,
    expires: float,
    endpoint: str,
    version_id: str,
) -> None:
    """Make a URL by which whoever has it reads or writes one object. It is as good as a password until it ends."""
    request = pb.PresignObjectRequest(
        bucket=bucket,
        key=key,
        method=pb.PresignMethod.Value(f"PRESIGN_METHOD_{method.upper()}"),
        expires=span_of(expires),
        identity=resource_name("identities", identity),
        endpoint=endpoint,
        version_id=version_id,
    )
    with connection.channel() as channel:
        answer = connection.call(pb_grpc.ObjectServiceStub(channel).PresignObject, request)
    if connection.wrote(answer):
        return
    click.echo(answer.url)
    click.echo(f"works until {when(answer.expire_time)}, signed by {answer.access_key}", err=True)


@command.command("delete")
@click.argument("bucket")
@click.argument("key")
@click.option("--version", "version_id", default="", help="Version id. Default: whatever is current.")
@yes_option
@click.pass_obj
def delete(connection: Connection, bucket: str, key: str, version_id: str, yes: bool) -> None:
    """Remove an object, or one version of it. Where versions are kept, a delete marker covers it."""
    which = f"version {version_id} of" if version_id else "whatever is current of"
    confirm(key, [f"Removes {which} {key} in the bucket {bucket}."], yes=yes)
    with connection.channel() as channel:
        request = pb.DeleteObjectRequest(bucket=bucket, key=key, version_id=version_id)
        answer = connection.call(pb_grpc.ObjectServiceStub(channel).DeleteObject, request)
    if connection.wrote(answer):
        return
    if not answer.version_id:
        click.echo("there was nothing to remove")
    elif answer.delete_marker and not version_id:
        click.echo(f"covered by the delete marker {answer.version_id}")
    else:
        click.echo(f"removed version {answer.version_id}")


@command.command("delete-prefix")
@click.argument("bucket")
@click.argument("prefix")
@click.option("--all-versions", is_flag=True, help="Leave nothing: all versions and delete markers go.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and remove nothing.")
@click.option("--detach", is_flag=True, help="Print the operation's name, and wait for nothing.")
@yes_option
@click.pass_obj
def delete_prefix(
    connection: Connection,
    bucket: str,
    prefix: str,
    all_versions: bool,
    dry_run: bool,
    detach: bool,
    yes: bool,
) -> None:
    """Remove every object whose key begins so; an empty prefix means all of the bucket. What comes later stays."""
    with connection.channel() as channel:
        stub = pb_grpc.ObjectServiceStub(channel)
        asked = pb.PreviewDeletePrefixRequest(bucket=bucket, prefix=prefix, all_versions=all_versions)
        preview = connection.call(stub.PreviewDeletePrefix, asked)
        if dry_run:
            if not connection.wrote(preview):
                click.echo(_plan(preview, bucket, prefix))
            return
        confirm(prefix or bucket, [_plan(preview, bucket, prefix)], yes=yes)
        request = pb.DeletePrefixRequest(
            bucket=bucket,
            prefix=prefix,
            confirm_prefix=prefix,
            expected_count=preview.count,
            all_versions=all_versions,
        )
        answer = connection.call(stub.DeletePrefix, request)
    follow(connection, answer, detach=detach)


def _plan(preview: pb.PreviewDeletePrefixResponse, bucket: str, prefix: str) -> str:
    more = "or more " if preview.partial else ""
    what = f"{preview.count} {more}under {prefix!r} in the bucket {bucket}, {size(preview.size_bytes)}"
    if preview.covers:
        return f"Covers {what}, with delete markers: older versions stay, and no space is freed."
    return f"Removes {what}."


def _at_least(entry: pb.ObjectTreeEntry, told: str) -> str:
    return f"{told}+" if entry.partial else told


def _is(version: pb.ObjectVersion) -> str:
    told = "marker" if version.delete_marker else "version"
    return f"current {told}" if version.current else told
