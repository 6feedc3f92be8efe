"""Failed calls: one line for people and what to do about it, or the whole status for programs."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click
import grpc
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from adminctl.exit_status import BY_CODE, ExitStatus
from adminctl.output import printable, terminal_columns
from adminctl.place import Place
from adminctl.tracing import trace_id

if TYPE_CHECKING:
    from adminctl.client import Connection

_NO_CONNECTION = re.compile(r"failed to connect to all addresses; last error: \w+: \w+:\S+: (.*)", re.DOTALL)
_REFUSED = "Failed to connect to remote host: "

_LINE = re.compile(r"line [0-9]+: ")

_IN_LOG = frozenset({"INTERNAL", "UNKNOWN", "DATA_LOSS"})
"""Codes of which the server's log tells more than the answer."""

STATUS_FORMATS = ("json", "jsonl")
"""Formats in which an error is a `google.rpc.Status`."""


class Violation(NamedTuple):
    """A field that is not as it must be, and why."""

    field: str
    description: str


@contextmanager
def telling_failures(connection: Connection) -> Iterator[None]:
    """A call's error inside is told on stderr and ends the command with its exit status."""
    try:
        yield
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        _tell_failure(error, connection)
        raise click.exceptions.Exit(BY_CODE.get(error.code().name, ExitStatus.INTERNAL)) from error


def _tell_failure(error: grpc.Call, connection: Connection) -> None:
    status = rpc_status.from_call(error)
    if connection.format.name in STATUS_FORMATS:
        told = status or status_pb2.Status(code=error.code().value[0], message=error.details() or "")
        click.echo(json.dumps(MessageToDict(told, preserving_proto_field_name=True)), err=True)
        return
    reason, violations = _details(status)
    text, hints = _without_repeats(_plain(error.details() or ""), violations)
    code = error.code().name
    if not hints and not (reason and code == "UNAVAILABLE"):
        # A server that says why it is not available has answered.
        hints = hints_of(code, connection.place)
    tell(code, text, reason=reason, hints=hints)
    request_id = _request_id(error)
    if code in _IN_LOG and request_id and not connection.is_verbose:
        click.echo(f"  request {printable(request_id)}: the log of the control plane has more", err=True)
    if connection.is_verbose:
        click.echo(f"  peer: {printable(connection.address)}, from {connection.place.origin}", err=True)
        click.echo(f"  trace: {trace_id(connection.traceparent)}", err=True)
        for key, value in (*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())):
            if not key.endswith("-bin"):
                click.echo(f"  {key}: {value!r}", err=True)


def _plain(text: str) -> str:
    """What gRPC says of a connection that did not come about, without the ways it has tried."""
    match = _NO_CONNECTION.fullmatch(text)
    return text if match is None else f"no connection: {match[1].removeprefix(_REFUSED)}"


def tell(code: str, text: str, *, reason: str = "", hints: Sequence[str] = ()) -> None:
    """`error: CODE: text (REASON)`, and a line for each hint."""
    told_reason = f" ({reason})" if reason else ""
    click.echo(f"error: {code}: {printable(text)}{told_reason}", err=True)
    for hint in hints:
        for line in _fitting(printable(hint)):
            click.echo(f"  {line}", err=True)


def _fitting(text: str) -> list[str]:
    """Lines for a terminal; elsewhere a hint stays one."""
    if not sys.stderr.isatty():
        return [text]
    return textwrap.wrap(text, max(20, terminal_columns() - 2), break_on_hyphens=False)


def _request_id(error: grpc.Call) -> str:
    return next((str(value) for key, value in error.trailing_metadata() or () if key == "x-request-id"), "")


def _without_repeats(text: str, violations: Sequence[Violation]) -> tuple[str, list[str]]:
    """What is told, and a line for each field that is wrong unless that was said by then."""
    hints = [f"{each.field}: {each.description}" for each in violations]
    says_all = all(each.field in text and _LINE.sub("", each.description) in text for each in violations)
    if not violations or not says_all:
        return text, hints
    return (
        (text, []) if len(violations) == 1 else (f"{len(violations)} things are not as they must be", hints)
    )


def _details(status: status_pb2.Status | None) -> tuple[str, list[Violation]]:
    reason, violations = "", []
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason = info.reason
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            violations += [
                Violation(field=each.field, description=each.description) for each in bad.field_violations
            ]
    return reason, violations


def hints_of(code: str, place: Place) -> list[str]:
    """What an operator may do about a code whose error says nothing more."""
    if code == "UNAVAILABLE":
        hints = [
            f"nothing answers at {place.address} ({place.origin}): is `penstock serve` running, and is this its"
            " address?",
            "set it with --address, PENSTOCK_ENDPOINT or `adminctl context set`: host:port, https://host:port or"
            " unix:DIR/admin.sock",
        ]
        if place.tls is not None:
            hints.append("if it speaks no TLS, leave https:// and --ca out")
        elif not place.address.startswith("unix:"):
            hints.append("if it speaks TLS, say https:// or --ca; the port of S3 is another one")
        return hints
    return [_HINTS[code]] if code in _HINTS else []


_HINTS = {
    "UNAUTHENTICATED": "give an admin token with --token or PENSTOCK_TOKEN; `init` wrote one to credentials.json",
    "DEADLINE_EXCEEDED": "give it more time with --timeout (at most 60 s count); what was begun may go on",
    "PERMISSION_DENIED": "use a token of that role, or the socket admin.sock in the node's state_dir",
    "UNIMPLEMENTED": "the server is too old for this command: `adminctl version` shows both sides' versions",
}
