"""What every call passes: who calls, may they, is the message readable, and what becomes of errors."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2
from penstock.admin.v1 import roles_pb2

from controlplane.callers import Authenticator, Caller, Role
from controlplane.pool import EnginePool
from controlplane.status import Own, draining_status, internal_status, plain_status, status_of
from engine.errors import EngineError

UNARY_CALL_MAX_S = 60.0
"""Longest time a unary call may take when its caller set no deadline, or a longer one."""

_log = logging.getLogger("penstock.control")
_MALFORMED = object()

if TYPE_CHECKING:
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _Interceptor = grpc.aio.ServerInterceptor


class Guard(_Interceptor):
    """Authenticates and authorises by the method that is really dispatched, and translates errors once.

    A method that `roles` does not know is refused to everybody: a service cannot be registered and forgotten.
    """

    def __init__(
        self,
        authenticate: Authenticator,
        roles: Mapping[str, Role],
        pool: EnginePool,
        draining: asyncio.Event,
    ) -> None:
        """Once `draining` is set, streams end; other calls go on to their end."""
        self._authenticate = authenticate
        self._roles = roles
        self._pool = pool
        self._draining = draining

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        required = self._roles.get(handler_call_details.method, roles_pb2.ROLE_UNSPECIFIED)
        call = _Call(self._authenticate, required, handler_call_details.method, self._pool, self._draining)
        return _wrap(handler, call)


class _Call:
    """One method behind the guard."""

    def __init__(
        self,
        authenticate: Authenticator,
        required: Role,
        method: str,
        pool: EnginePool,
        draining: asyncio.Event,
    ) -> None:
        self._authenticate = authenticate
        self._required = required
        self._method = method
        self._pool = pool
        self._draining = draining

    async def unary(self, behaviour: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any) -> Any:
        async with self._answering(context) as admit:
            left_s = context.time_remaining()
            async with asyncio.timeout(UNARY_CALL_MAX_S if left_s is None else min(left_s, UNARY_CALL_MAX_S)):
                await admit(request)
                return await behaviour(request, context)

    async def stream(self, behaviour: Callable[[Any, Any], Any], request: Any, context: Any) -> None:
        async with self._answering(context) as admit:
            await admit(request)
            answering = asyncio.ensure_future(_write_all(behaviour(request, context), context))
            draining = asyncio.ensure_future(self._draining.wait())
            try:
                await asyncio.wait({answering, draining}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    await refuse(context, draining_status())
                answering.result()
            finally:
                answering.cancel()
                draining.cancel()
                await asyncio.gather(answering, draining, return_exceptions=True)

    @asynccontextmanager
    async def _answering(self, context: Any) -> AsyncIterator[Callable[[Any], Awaitable[None]]]:
        """Everything of a call happens in here: whatever is raised becomes a status, and the call is logged."""
        started_s = time.monotonic()
        caller: Caller | None = None
        # What stands here when nothing else is learned: the caller went away.
        code = grpc.StatusCode.CANCELLED

        async def admit(request: Any) -> None:
            nonlocal caller
            # The look-up of a token is a database read: it belongs on a thread.
            caller = await self._pool.run(self._authenticate, context.invocation_metadata() or ())
            refusal = self._refusal(caller, request)
            if refusal is not None:
                await refuse(context, refusal)

        try:
            yield admit
            code = grpc.StatusCode.OK
        except grpc.aio.AbortError:
            code = context.code()
            raise
        except Exception as error:  # the outermost handler of a call
            status = self._status_of(error)
            code = code_of(status)
            await refuse(context, status)
        finally:
            fields = {
                "method": self._method,
                "caller": caller.name if caller is not None else None,
                "role": roles_pb2.Role.Name(caller.role) if caller is not None else None,
                "code": code.name,
                "duration_ms": round((time.monotonic() - started_s) * 1000, 1),
            }
            _log.info("call.ended", extra=fields)

    def _refusal(self, caller: Caller | None, request: Any) -> status_pb2.Status | None:
        if caller is None:
            return plain_status(Own.NO_CALLER, "no valid admin token was given")
        if self._required == roles_pb2.ROLE_UNSPECIFIED or caller.role < self._required:
            needed = roles_pb2.Role.Name(self._required).removeprefix("ROLE_").lower()
            return plain_status(Own.ROLE, f"{self._method} needs the role {needed}")
        if request is _MALFORMED:
            return plain_status(Own.MALFORMED_MESSAGE, "the request is no message of this method")
        return None

    def _status_of(self, error: Exception) -> status_pb2.Status:
        if isinstance(error, EngineError):
            return status_of(error)
        if isinstance(error, TimeoutError):
            return plain_status(Own.DEADLINE, "the call took longer than its deadline")
        _log.error("call.failed", extra={"method": self._method}, exc_info=error)
        return internal_status()


async def _write_all(answers: Any, context: Any) -> None:
    """Of streams of both kinds: those that yield answers, and those that write them to the context themselves."""
    if inspect.isawaitable(answers):
        await answers
        return
    async for answer in answers:
        await context.write(answer)


async def refuse(context: Any, status: status_pb2.Status) -> None:
    """End a call with a rich status; never returns."""
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code_of(status), status.message, trailing_metadata=trailers)


def code_of(status: status_pb2.Status) -> grpc.StatusCode:
    return next(each for each in grpc.StatusCode if each.value[0] == status.code)


def _wrap(handler: grpc.RpcMethodHandler[Any, Any], call: _Call) -> grpc.RpcMethodHandler[Any, Any]:
    untyped = cast(Any, handler)

    def read(data: bytes) -> object:
        try:
            return untyped.request_deserializer(data)
        except (DecodeError, RecursionError):
            return _MALFORMED

    serializers = {"request_deserializer": read, "response_serializer": untyped.response_serializer}
    if untyped.request_streaming and untyped.response_streaming:
        # Only reflection is of this kind: its messages come through an iterator, which it reads itself.
        serializers["request_deserializer"] = untyped.request_deserializer

        async def stream_stream(requests: Any, context: Any) -> None:
            await call.stream(untyped.stream_stream, requests, context)

        return grpc.stream_stream_rpc_method_handler(stream_stream, **serializers)
    if untyped.response_streaming:

        async def unary_stream(request: Any, context: Any) -> None:
            await call.stream(untyped.unary_stream, request, context)

        return grpc.unary_stream_rpc_method_handler(unary_stream, **serializers)
    if untyped.request_streaming:
        raise TypeError("a client-streaming method has no guard")

    async def unary_unary(request: Any, context: Any) -> Any:
        return await call.unary(untyped.unary_unary, request, context)

    return grpc.unary_unary_rpc_method_handler(unary_unary, **serializers)
