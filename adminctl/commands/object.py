"""`adminctl object`: where objects lie."""

import click
from penstock.admin.v1 import object_service_pb2 as pb
from penstock.admin.v1 import object_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.output import print_json, print_table, size, word, yes_no


@click.group("object")
def command() -> None:
    """Where objects lie."""


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
    if connection.output == "json":
        print_json(answer)
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
