"""One connection to the control plane: where it is, who calls, and what its errors mean on a command line."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import click
import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from adminctl.exit_status import ExitStatus
from adminctl.output import printable

DEFAULT_ADDRESS = "unix:/run/penstock/admin.sock"
DEFAULT_TIMEOUT_S = 10.0
MESSAGE_BYTES_MAX = 4 * 1024 * 1024
UNIX_ADDRESS_BYTES_MAX = 100

BY_CODE: dict[grpc.StatusCode, ExitStatus] = {
    grpc.StatusCode.OK: ExitStatus.OK,
    grpc.StatusCode.INVALID_ARGUMENT: ExitStatus.USAGE,
    grpc.StatusCode.OUT_OF_RANGE: ExitStatus.USAGE,
    grpc.StatusCode.NOT_FOUND: ExitStatus.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED: ExitStatus.DENIED,
    grpc.StatusCode.PERMISSION_DENIED: ExitStatus.DENIED,
    grpc.StatusCode.UNAVAILABLE: ExitStatus.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExitStatus.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitStatus.DEADLINE,
    grpc.StatusCode.FAILED_PRECONDITION: ExitStatus.PRECONDITION,
    grpc.StatusCode.ABORTED: ExitStatus.PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS: ExitStatus.EXISTS,
    grpc.StatusCode.CANCELLED: ExitStatus.CANCELLED,
    grpc.StatusCode.UNIMPLEMENTED: ExitStatus.INTERNAL,
    grpc.StatusCode.INTERNAL: ExitStatus.INTERNAL,
    grpc.StatusCode.UNKNOWN: ExitStatus.INTERNAL,
    grpc.StatusCode.DATA_LOSS: ExitStatus.INTERNAL,
}

Answer = TypeVar("Answer", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What the global flags say."""

    address: str
    token: str | None
    output: str
    timeout_s: float
    is_verbose: bool

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        options = [("grpc.max_receive_message_length", MESSAGE_BYTES_MAX), ("grpc.enable_retries", 0)]
        with (
            _reachable(self.address) as address,
            grpc.insecure_channel(address, options=options) as channel,
        ):
            yield channel

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def call(self, method: Callable[..., Answer], request: Message) -> Answer:
        """Call once within the deadline; an error is told on stderr and ends the command with its exit status."""
        try:
            return method(request, timeout=self.timeout_s, metadata=self.metadata)
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            self._tell(error)
            raise click.exceptions.Exit(BY_CODE.get(error.code(), ExitStatus.INTERNAL)) from error

    def _tell(self, error: grpc.Call) -> None:
        status = rpc_status.from_call(error)
        if self.output == "json":
            told = status or status_pb2.Status(code=error.code().value[0], message=error.details() or "")
            click.echo(json.dumps(MessageToDict(told, preserving_proto_field_name=True)), err=True)
            return
        reason, hints = _details(status)
        told_reason = f" ({reason})" if reason else ""
        click.echo(f"error: {error.code().name}: {printable(error.details() or '')}{told_reason}", err=True)
        _tell_hints(hints or _hints(error.code(), self.address))
        if self.is_verbose:
            click.echo(f"  address: {self.address}", err=True)
            for key, value in error.trailing_metadata() or ():
                if not key.endswith("-bin"):
                    click.echo(f"  {key}: {value!r}", err=True)


@contextmanager
def _reachable(address: str) -> Iterator[str]:
    """The same address, short enough: a unix socket's has at most 107 bytes, the path of its folder may be longer."""
    folder, _, name = address.removeprefix("unix:").rpartition("/")
    if not address.startswith("unix:") or len(os.fsencode(address)) <= UNIX_ADDRESS_BYTES_MAX:
        yield address
        return
    try:
        fd = os.open(folder or ".", os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        click.echo(f"error: UNAVAILABLE: {printable(folder)}: {error.strerror}", err=True)
        _tell_hints(_hints(grpc.StatusCode.UNAVAILABLE, address))
        raise click.exceptions.Exit(ExitStatus.UNAVAILABLE) from error
    try:
        yield f"unix:/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def _tell_hints(hints: Sequence[str]) -> None:
    for hint in hints:
        click.echo(f"  {printable(hint)}", err=True)


def _details(status: status_pb2.Status | None) -> tuple[str, list[str]]:
    reason, hints = "", []
    for detail in status.details if status is not None else ():
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            reason = info.reason
        elif detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            hints += [f"{violation.field}: {violation.description}" for violation in bad.field_violations]
    return reason, hints


def _hints(code: grpc.StatusCode, address: str) -> list[str]:
    if code is grpc.StatusCode.UNAVAILABLE:
        return [
            f"nothing answers at {address}: is `penstock serve` running, and is this its address?",
            "set it with --address or PENSTOCK_ENDPOINT: host:port, or unix:DIR/admin.sock of a node's state_dir",
        ]
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return ["give an admin token with --token or PENSTOCK_TOKEN; `init` wrote one to credentials.json"]
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return ["give it more time with --timeout (at most 60 s count); what was begun may go on"]
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return ["use a token of that role, or the socket admin.sock in the node's state_dir"]
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return ["the server is older than this adminctl"]
    return []


def resource_name(collection: str, text: str) -> str:
    """`near` and `backends/near` name the same backend."""
    return text if text.startswith(f"{collection}/") else f"{collection}/{text}"
