"""What stands before every method: the handler that is really dispatched, wrapped in what every call passes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import DecodeError
from penstock.admin.v1 import roles_pb2

from controlplane.answering import MALFORMED, Answering, CallParts, refuse
from controlplane.callers import Authenticator, Role
from controlplane.pace import Pace

__all__ = ["Guard", "refuse"]

if TYPE_CHECKING:
    _Interceptor = grpc.aio.ServerInterceptor[Any, Any]
else:
    _Interceptor = grpc.aio.ServerInterceptor


class Guard(_Interceptor):
    """Authenticates and authorises by the method that is really dispatched, and translates errors once.

    A method that `roles` does not know is refused to everybody: a service cannot be registered and forgotten.
    """

    def __init__(
        self, authenticate: Authenticator, roles: Mapping[str, Role], parts: CallParts, pace: Pace
    ) -> None:
        self._pace = pace
        self._authenticate = authenticate
        self._roles = roles
        self._parts = parts

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        required = self._roles.get(handler_call_details.method, roles_pb2.ROLE_UNSPECIFIED)
        method = handler_call_details.method
        call = Answering(self._authenticate, required, method, self._parts, self._pace)
        return _wrap(handler, call)


def _wrap(handler: grpc.RpcMethodHandler[Any, Any], call: Answering) -> grpc.RpcMethodHandler[Any, Any]:
    untyped = cast(Any, handler)

    def read(data: bytes) -> object:
        try:
            return untyped.request_deserializer(data)
        except (DecodeError, RecursionError):
            return MALFORMED

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
