"""Every service over one channel, as a program with generated stubs calls them."""

from typing import Any

import grpc
from penstock.admin.v1 import (
    backend_service_pb2_grpc,
    config_service_pb2_grpc,
    object_service_pb2_grpc,
    operation_service_pb2_grpc,
    system_service_pb2_grpc,
    worker_service_pb2_grpc,
)

TIMEOUT_S = 10


class Client:
    """Every service over one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._stubs = {
            "system": system_service_pb2_grpc.SystemServiceStub(channel),
            "config": config_service_pb2_grpc.ConfigServiceStub(channel),
            "backend": backend_service_pb2_grpc.BackendServiceStub(channel),
            "worker": worker_service_pb2_grpc.WorkerServiceStub(channel),
            "object": object_service_pb2_grpc.ObjectServiceStub(channel),
            "operation": operation_service_pb2_grpc.OperationServiceStub(channel),
        }

    def __call__(self, service: str, request: Any) -> Any:
        """The answer to a request, by the name of its message."""
        method = type(request).__name__.removesuffix("Request")
        return getattr(self._stubs[service], method)(request, timeout=TIMEOUT_S)
