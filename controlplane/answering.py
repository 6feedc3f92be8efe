"""One call from its arrival to its answer: who calls, may they, what is written down, and what becomes of errors."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2
from penstock.admin.v1 import roles_pb2

from controlplane.audit import AuditedCall
from controlplane.callers import Authenticator, Caller, Evidence, Role, note_caller
from controlplane.methods import is_reading
from controlplane.pace import Pace
from controlplane.pool import EnginePool
from controlplane.status import Own, draining_status, internal_status, plain_status, status_of
from controlplane.tracing.tracing import CallSpan, Tracing
from engine.clock import Ids
from engine.errors import EngineError

UNARY_CALL_MAX_S = 60.0
"""Longest time a unary call may take when its caller set no deadline, or a longer one."""

REQUEST_ID = "x-request-id"
"""Trailing metadata of every answer: by it the log and the audit tell of the call. A caller may send its own."""

_OWN_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

MALFORMED = object()
"""Stands for a request whose bytes are no message of the method."""

_log = logging.getLogger("penstock.control")


class Audit(Protocol):
    """Where calls that change something are written down."""

    async def begun(self, call: AuditedCall, /) -> None:
        """Before anything is done; raises EngineError, and then nothing is."""

    async def ended(self, call: AuditedCall, outcome: str, answer: Any = None, /) -> None:
        """Before the answer."""

    async def refused(self, call: AuditedCall, outcome: str, /) -> None:
        """Instead of both, for a known caller who may not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """What all calls of a server share. Once `draining` is set, streams end; other calls go on to their end."""

    pool: EnginePool
    audit: Audit
    tracing: Tracing
    draining: asyncio.Event
    ids: Ids
    caller_look_s: float
    """Pause between two looks at whether the caller of a stream still may."""


class Answering:
    """One method behind the guard."""

    def __init__(
        self, authenticate: Authenticator, required: Role, method: str, parts: CallParts, pace: Pace
    ) -> None:
        self.pace = pace
        self.authenticate = authenticate
        self._required = required
        self.method = method
        self.parts = parts
        self.is_audited = not is_reading(method) and method.startswith("/penstock.")

    async def unary(self, behaviour: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any) -> Any:
        async with self._passing(context) as passage:
            left_s = context.time_remaining()
            async with asyncio.timeout(UNARY_CALL_MAX_S if left_s is None else min(left_s, UNARY_CALL_MAX_S)):
                await passage.admit(request)
                passage.answer = await behaviour(request, context)
        return passage.answer

    async def stream(self, behaviour: Callable[[Any, Any], Any], request: Any, context: Any) -> None:
        async with self._passing(context) as passage:
            await passage.admit(request)
            answering = asyncio.ensure_future(_write_all(behaviour(request, context), context))
            draining = asyncio.ensure_future(self.parts.draining.wait())
            lapsing = asyncio.ensure_future(self._lapse(passage, context))
            others = (draining, lapsing)
            try:
                await asyncio.wait({answering, *others}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    await passage.refuse(
                        draining_status()
                        if draining.done()
                        else plain_status(Own.NO_CALLER, "the token has ended")
                    )
                answering.result()
            finally:
                for each in (answering, *others):
                    each.cancel()
                await asyncio.gather(answering, *others, return_exceptions=True)

    async def _lapse(self, passage: _Passage, context: Any) -> None:
        """Returns once the stream's caller may call no more: its token has ended, or may less than it did."""
        while True:
            await asyncio.sleep(self.parts.caller_look_s)
            try:
                caller = await self.parts.pool.run(self.authenticate, _evidence(context))
            except EngineError:
                # Whether it may cannot be told now; that it might is known, and what streams does not change anything.
                continue
            if caller is None or self.refusal(caller, None) is not None:
                return

    @asynccontextmanager
    async def _passing(self, context: Any) -> AsyncIterator[_Passage]:
        """Everything of a call happens in here: whatever is raised becomes a status, and the call is written down."""
        started_s = time.monotonic()
        passage = _Passage(self, context, _own_request_id(context) or self.parts.ids().hex())
        context.set_trailing_metadata(((REQUEST_ID, passage.request_id),))
        # What stands here when nothing else is learned: the caller went away.
        code = grpc.StatusCode.CANCELLED
        try:
            try:
                yield passage
                code = grpc.StatusCode.OK
            except grpc.aio.AbortError:
                code = context.code()
                raise
            except Exception as error:  # the outermost handler of a call
                status = self._status_of(error)
                code = code_of(status)
                await passage.settle(code)
                await passage.refuse(status)
            finally:
                await passage.settle(code)
        finally:
            passage.end_span(code)
            caller = passage.caller
            fields = {
                "method": self.method,
                "caller": caller.name if caller is not None else None,
                "role": roles_pb2.Role.Name(caller.role) if caller is not None else None,
                "code": code.name,
                "request_id": passage.request_id,
                "duration_ms": round((time.monotonic() - started_s) * 1000, 1),
            }
            _log.info("call.ended", extra=fields)

    def refusal(self, caller: Caller | None, request: Any) -> status_pb2.Status | None:
        if caller is None:
            return plain_status(Own.NO_CALLER, "no valid admin token was given")
        if self._required == roles_pb2.ROLE_UNSPECIFIED or caller.role < self._required:
            needed = roles_pb2.Role.Name(self._required).removeprefix("ROLE_").lower()
            return plain_status(Own.ROLE, f"{self.method} needs the role {needed}")
        if caller.is_held_back_from(self.method):
            return plain_status(Own.SCOPE, f"{self.method} is outside the token's scopes")
        if request is MALFORMED:
            return plain_status(Own.MALFORMED_MESSAGE, "the request is no message of this method")
        return None

    def _status_of(self, error: Exception) -> status_pb2.Status:
        if isinstance(error, EngineError):
            return status_of(error)
        if isinstance(error, TimeoutError):
            return plain_status(Own.DEADLINE, "the call took longer than its deadline")
        _log.error("call.failed", extra={"method": self.method}, exc_info=error)
        return internal_status()


class _Passage:
    """What is known of the one call under way."""

    def __init__(self, of: Answering, context: Any, request_id: str) -> None:
        self._of = of
        self._context = context
        self.request_id = request_id
        self.caller: Caller | None = None
        self.answer: Any = None
        self._span: CallSpan | None = None
        self._begun: tuple[AuditedCall, asyncio.Task[None]] | None = None

    async def admit(self, request: Any) -> None:
        """Let the call in, or end it. What changes something is written down first."""
        of, context = self._of, self._context
        await of.pace.turn()
        # The look-up of a token is a database read: it belongs on a thread.
        self.caller = await of.parts.pool.run(of.authenticate, _evidence(context))
        if self.caller is not None:
            # Of strangers no trace is made: they could ask for any number.
            self._span = of.parts.tracing.begin_call(
                of.method,
                context.invocation_metadata() or (),
                caller=self.caller.name,
                request_id=self.request_id,
            )
        refusal = of.refusal(self.caller, request)
        call = None
        if of.is_audited and self.caller is not None:
            call = AuditedCall(
                caller=self.caller,
                method=of.method,
                request=request,
                request_id=self.request_id,
                peer=context.peer(),
            )
        if refusal is not None:
            if call is not None:
                await of.parts.audit.refused(call, code_of(refusal).name)
            await self.refuse(refusal)
        assert self.caller is not None
        note_caller(self.caller)
        if call is not None:
            # Goes on when the caller goes away meanwhile, and then gets its end all the same.
            beginning = asyncio.create_task(_begin(of.parts.audit, call))
            self._begun = (call, beginning)
            await asyncio.shield(beginning)

    def end_span(self, code: grpc.StatusCode) -> None:
        if self._span is not None:
            self._span.end(code)

    async def settle(self, code: grpc.StatusCode) -> None:
        """Write down how it ended, before its answer goes out; goes on when the caller goes away meanwhile."""
        begun, self._begun = self._begun, None
        if begun is not None:
            await asyncio.shield(_end(self._of.parts.audit, *begun, code.name, self.answer))

    async def refuse(self, status: status_pb2.Status) -> None:
        """End the call with a rich status; never returns."""
        status.details.add().Pack(error_details_pb2.RequestInfo(request_id=self.request_id))
        await refuse(self._context, status, ((REQUEST_ID, self.request_id),))


async def _begin(audit: Audit, call: AuditedCall) -> None:
    await audit.begun(call)


async def _end(
    audit: Audit, call: AuditedCall, beginning: asyncio.Task[None], outcome: str, answer: Any
) -> None:
    """What was not begun has no end."""
    await asyncio.wait([beginning])
    if beginning.exception() is None:
        await audit.ended(call, outcome, answer)


def _own_request_id(context: Any) -> str | None:
    """What the caller ties this call to others by; nothing for what could not stand in a log as it is."""
    given = [value for key, value in context.invocation_metadata() or () if key == REQUEST_ID]
    own = given[0] if len(given) == 1 else None
    return own if isinstance(own, str) and _OWN_REQUEST_ID.fullmatch(own) else None


def _evidence(context: Any) -> Evidence:
    shown = context.auth_context() or {}
    return Evidence(
        metadata=context.invocation_metadata() or (),
        uris=_texts(shown.get("peer_uri", ())),
        common_names=_texts(shown.get("x509_common_name", ())),
    )


def _texts(values: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(value.decode("utf-8", "replace") for value in values)


async def _write_all(answers: Any, context: Any) -> None:
    """Of streams of both kinds: those that yield answers, and those that write them to the context themselves."""
    if inspect.isawaitable(answers):
        await answers
        return
    async with aclosing(answers):
        async for answer in answers:
            await context.write(answer)


async def refuse(context: Any, status: status_pb2.Status, trailers: Sequence[tuple[str, str]] = ()) -> None:
    """End a call with a rich status; never returns."""
    details = ("grpc-status-details-bin", status.SerializeToString())
    await context.abort(code_of(status), status.message, trailing_metadata=(details, *trailers))


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    return next(each for each in grpc.StatusCode if each.value[0] == status.code)
