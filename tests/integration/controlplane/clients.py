"""Every service over one channel, as a program with generated stubs calls them."""

from typing import Any

import grpc
from penstock.admin.v1 import (
    backend_service_pb2_grpc,
    bucket_service_pb2_grpc,
    cleanup_service_pb2_grpc,
    config_service_pb2_grpc,
    heal_service_pb2_grpc,
    identity_service_pb2_grpc,
    key_service_pb2_grpc,
    log_service_pb2_grpc,
    maintenance_service_pb2_grpc,
    notification_service_pb2_grpc,
    object_service_pb2_grpc,
    operation_service_pb2_grpc,
    rebalance_service_pb2_grpc,
    reconcile_service_pb2_grpc,
    replication_service_pb2_grpc,
    scrub_service_pb2_grpc,
    system_service_pb2_grpc,
    usage_service_pb2_grpc,
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
            "log": log_service_pb2_grpc.LogServiceStub(channel),
            "object": object_service_pb2_grpc.ObjectServiceStub(channel),
            "bucket": bucket_service_pb2_grpc.BucketServiceStub(channel),
            "usage": usage_service_pb2_grpc.UsageServiceStub(channel),
            "identity": identity_service_pb2_grpc.IdentityServiceStub(channel),
            "rebalance": rebalance_service_pb2_grpc.RebalanceServiceStub(channel),
            "replication": replication_service_pb2_grpc.ReplicationServiceStub(channel),
            "heal": heal_service_pb2_grpc.HealServiceStub(channel),
            "cleanup": cleanup_service_pb2_grpc.CleanupServiceStub(channel),
            "key": key_service_pb2_grpc.KeyServiceStub(channel),
            "scrub": scrub_service_pb2_grpc.ScrubServiceStub(channel),
            "reconcile": reconcile_service_pb2_grpc.ReconcileServiceStub(channel),
            "maintenance": maintenance_service_pb2_grpc.MaintenanceServiceStub(channel),
            "notification": notification_service_pb2_grpc.NotificationServiceStub(channel),
            "operation": operation_service_pb2_grpc.OperationServiceStub(channel),
        }

    def __call__(self, service: str, request: Any) -> Any:
        """The answer to a request, by the name of its message."""
        method = type(request).__name__.removesuffix("Request")
        return getattr(self._stubs[service], method)(request, timeout=TIMEOUT_S)
