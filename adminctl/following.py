"""Following a long operation to its end: a bar on a terminal, lines elsewhere, an exit status that says how it went."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import click
from penstock.admin.v1 import operation_pb2
from penstock.admin.v1 import operation_service_pb2 as pb
from penstock.admin.v1 import operation_service_pb2_grpc as pb_grpc

from adminctl.client import Connection
from adminctl.exit_status import ExitStatus
from adminctl.interrupting import heeding_interrupts
from adminctl.output import printable, size, word

if TYPE_CHECKING:
    import grpc
    from google.protobuf.message import Message

LINE_EVERY_S = 5.0
"""Off a terminal a line says how far it is, at most this often."""

AWAY_MAX_S = 120.0
"""How long a control plane may be away, such as for a restart, before whoever follows gives up."""

AWAY_PAUSE_S = 1.0
STREAM_MAX_S = 60.0
"""After so long a stream is opened anew: a peer that went without a word is noticed then."""


class Display(Protocol):
    """Where people see how far it is."""

    def show(self, operation: operation_pb2.Operation) -> None: ...

    def say(self, line: str) -> None:
        """Something beside the progress."""


def follow(connection: Connection, answer: Message, *, detach: bool) -> None:
    """End a command that started long work; `answer` is what its rpc answered, or the operation itself.

    Detached, its name is printed and nothing waited for. Else it is shown until it has ended, over restarts of the
    control plane as well; then the answer is printed with the operation as it ended, and the command ends with 10 when
    it failed, 11 when it was cancelled. Ctrl-C leaves it alone and ends with 130; on a terminal a second one, soon
    after, offers to cancel it.
    """
    operation = _operation_of(answer)
    if not detach:
        operation.CopyFrom(_followed(connection, operation))
    if not connection.wrote(answer):
        told = f"{operation.name}: {state_of(operation)}; see `adminctl operation watch {operation.name}`"
        click.echo(summary(operation) if operation.done else told)
    for warning in operation.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)
    kept_count = len(operation.warnings)
    if operation.progress.warning_count > kept_count:
        click.echo(f"warning: and {operation.progress.warning_count - kept_count} more", err=True)
    end_with(operation)


def wait(connection: Connection, method: Callable[..., Any], request: pb.WaitOperationRequest) -> Any:
    """Wait without a word until it has ended; ends the command with 7 when that takes longer than --timeout."""
    deadline_s = time.monotonic() + connection.timeout_s
    while True:
        answer = connection.call(method, request)
        if answer.operation.done:
            return answer
        if time.monotonic() >= deadline_s - 1.0:
            click.echo(f"error: DEADLINE_EXCEEDED: {request.name} goes on", err=True)
            click.echo("  wait longer with --timeout", err=True)
            raise click.exceptions.Exit(ExitStatus.DEADLINE)


def end_with(operation: operation_pb2.Operation) -> None:
    """The exit status of how an operation ended; one that has not is no failure."""
    if operation.state == operation_pb2.OPERATION_STATE_CANCELLED:
        raise click.exceptions.Exit(ExitStatus.CANCELLED)
    if operation.state == operation_pb2.OPERATION_STATE_FAILED:
        reason = f" ({operation.error_reason})" if operation.error_reason else ""
        click.echo(f"error: {operation.name}: {printable(operation.error_message)}{reason}", err=True)
        raise click.exceptions.Exit(ExitStatus.OPERATION_FAILED)


def state_of(operation: operation_pb2.Operation) -> str:
    """`running`, `running, to be cancelled`"""
    told = word(operation_pb2.OperationState.Name(operation.state), "OPERATION_STATE_")
    return f"{told}, to be cancelled" if operation.cancel_requested and not operation.done else told


def how_far(operation: operation_pb2.Operation) -> str:
    """`12 of 40 (30 %), 1.2 GiB of 4.0 GiB`; empty before anything is known."""
    told = _amounts(operation)
    part = part_done(operation)
    if told and part is not None and not operation.done:
        told[0] += f" ({part:.0%})".replace("%", " %")
    return ", ".join(told)


def _amounts(operation: operation_pb2.Operation) -> list[str]:
    progress = operation.progress
    told = []
    if progress.done_count or progress.HasField("total_count"):
        of_all = f" of {progress.total_count}" if progress.HasField("total_count") else ""
        told.append(f"{progress.done_count}{of_all}")
    if progress.done_bytes or progress.HasField("total_bytes"):
        of_all = f" of {size(progress.total_bytes)}" if progress.HasField("total_bytes") else ""
        told.append(f"{size(progress.done_bytes)}{of_all}")
    return told


def part_done(operation: operation_pb2.Operation) -> float | None:
    """From 0 to 1, by bytes where their total is known, else by items; null when neither is."""
    progress = operation.progress
    if progress.total_bytes:
        return min(1.0, progress.done_bytes / progress.total_bytes)
    if progress.total_count:
        return min(1.0, (progress.done_count + progress.failed_count) / progress.total_count)
    return None


def summary(operation: operation_pb2.Operation) -> str:
    """One line about an operation that has ended."""
    progress = operation.progress
    told = [state_of(operation), f"{how_far(operation) or '0'} done"]
    if progress.deferred_count:
        told.append(f"{progress.deferred_count} put off")
    if progress.failed_count:
        told.append(f"{progress.failed_count} failed")
    return f"{operation.name}: {', '.join(told)}"


def _operation_of(answer: Message) -> operation_pb2.Operation:
    operation = answer if isinstance(answer, operation_pb2.Operation) else getattr(answer, "operation", None)
    assert isinstance(operation, operation_pb2.Operation)
    return operation


def _followed(connection: Connection, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    import grpc

    from adminctl.failures import telling_failures

    away_since_s: float | None = None
    heeding = heeding_interrupts(
        operation.name,
        partial(_cancelled, connection, operation.name),
        cancel_timeout_s=connection.timeout_s,
    )
    with _display() as display, heeding, telling_failures(connection):
        while not operation.done:
            try:
                with connection.channel() as channel:
                    for told in _changes(connection, channel, operation.name):
                        operation, away_since_s = told, None
                        display.show(operation)
            except grpc.RpcError as error:
                assert isinstance(error, grpc.Call)
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    continue
                now_s = time.monotonic()
                is_away_long = away_since_s is not None and now_s - away_since_s > AWAY_MAX_S
                if error.code() is not grpc.StatusCode.UNAVAILABLE or is_away_long:
                    raise
                if away_since_s is None:
                    away_since_s = now_s
                    display.say("the control plane does not answer; waiting for it to come back")
                time.sleep(AWAY_PAUSE_S)
    return operation


def _changes(connection: Connection, channel: grpc.Channel, name: str) -> Iterator[operation_pb2.Operation]:
    stub = pb_grpc.OperationServiceStub(channel)
    request = pb.WatchOperationRequest(name=name)
    for answer in stub.WatchOperation(request, timeout=STREAM_MAX_S, metadata=connection.metadata):
        yield answer.operation


def _cancelled(connection: Connection, name: str) -> str:
    """Ask for it; what went wrong, or nothing."""
    import grpc

    try:
        with connection.channel() as channel:
            pb_grpc.OperationServiceStub(channel).CancelOperation(
                pb.CancelOperationRequest(name=name),
                timeout=connection.timeout_s,
                metadata=connection.metadata,
            )
    except grpc.RpcError as error:
        assert isinstance(error, grpc.Call)
        return f"{error.code().name}: {printable(error.details() or '')}"
    return ""


@contextmanager
def _display() -> Iterator[Display]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from adminctl.progress_bar import ProgressBar

    with ProgressBar() as bar:
        yield bar


class _Lines:
    """For pipes and logs."""

    def __init__(self) -> None:
        self._due_s = time.monotonic() + LINE_EVERY_S
        self._last = ""

    def show(self, operation: operation_pb2.Operation) -> None:
        if operation.done or time.monotonic() < self._due_s:
            return
        line = f"{operation.name}: {progress_line(operation)}"
        if line != self._last:
            self._due_s, self._last = time.monotonic() + LINE_EVERY_S, line
            self.say(line)

    def say(self, line: str) -> None:
        click.echo(line, err=True)


def progress_line(operation: operation_pb2.Operation, *, is_beside_bar: bool = False) -> str:
    """`copying: 12 of 40 (30 %), 10.0 MiB/s, 4 s left`; a bar tells the part by itself."""
    progress = operation.progress
    stage = printable(progress.stage) if progress.stage else state_of(operation)
    told = _amounts(operation) if is_beside_bar else [how_far(operation)]
    if progress.bytes_per_second:
        told.append(f"{size(progress.bytes_per_second)}/s")
    elif progress.items_per_second:
        told.append(f"{progress.items_per_second:.0f} a second")
    if progress.HasField("eta"):
        told.append(f"{rough_span(progress.eta.ToNanoseconds() / 1e9)} left")
    return f"{stage}: {', '.join(each for each in told if each)}" if any(told) else stage


def rough_span(seconds: float) -> str:
    """`4 s`, `12 min`, `3 h 5 min`, `2 d 1 h`"""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"
