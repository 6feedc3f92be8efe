"""Which role each method needs, read from the descriptors: the proto files are the only place that says so."""

import re
from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from penstock.admin.v1 import (
    backend_service_pb2,
    bucket_service_pb2,
    cleanup_service_pb2,
    config_service_pb2,
    heal_service_pb2,
    identity_service_pb2,
    key_service_pb2,
    log_service_pb2,
    maintenance_service_pb2,
    notification_service_pb2,
    object_service_pb2,
    operation_service_pb2,
    rebalance_service_pb2,
    reconcile_service_pb2,
    replication_service_pb2,
    roles_pb2,
    scrub_service_pb2,
    system_service_pb2,
    usage_service_pb2,
    worker_service_pb2,
)

from controlplane.callers import Role

SERVICES: tuple[ServiceDescriptor, ...] = (
    system_service_pb2.DESCRIPTOR.services_by_name["SystemService"],
    config_service_pb2.DESCRIPTOR.services_by_name["ConfigService"],
    backend_service_pb2.DESCRIPTOR.services_by_name["BackendService"],
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
    log_service_pb2.DESCRIPTOR.services_by_name["LogService"],
    object_service_pb2.DESCRIPTOR.services_by_name["ObjectService"],
    bucket_service_pb2.DESCRIPTOR.services_by_name["BucketService"],
    usage_service_pb2.DESCRIPTOR.services_by_name["UsageService"],
    identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"],
    rebalance_service_pb2.DESCRIPTOR.services_by_name["RebalanceService"],
    replication_service_pb2.DESCRIPTOR.services_by_name["ReplicationService"],
    heal_service_pb2.DESCRIPTOR.services_by_name["HealService"],
    cleanup_service_pb2.DESCRIPTOR.services_by_name["CleanupService"],
    key_service_pb2.DESCRIPTOR.services_by_name["KeyService"],
    scrub_service_pb2.DESCRIPTOR.services_by_name["ScrubService"],
    reconcile_service_pb2.DESCRIPTOR.services_by_name["ReconcileService"],
    maintenance_service_pb2.DESCRIPTOR.services_by_name["MaintenanceService"],
    notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"],
    operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"],
)

READING_VERBS = (
    *("Get", "List", "Watch", "Wait", "Tail", "Trace", "Query", "Head"),
    *("Preview", "Plan", "Validate", "Diff", "Verify"),
)
"""Methods with these verbs change nothing: viewers may have them, and they leave no trace in the audit."""

# The services of gRPC itself carry no option of ours.
_STANDARD = (
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
)


def is_reading(method: str) -> bool:
    """Whether a method, by its name alone, changes nothing. A verb that nobody thought of counts as a change."""
    name = method.rpartition("/")[2]
    return any(re.match(f"{verb}(?![a-z])", name) for verb in READING_VERBS)


def required_roles(services: Iterable[ServiceDescriptor] = SERVICES) -> Mapping[str, Role]:
    """`/package.Service/Method` to its role; raises ValueError for a method of ours without one."""
    roles: dict[str, Role] = {}
    for service in services:
        for method in service.methods:
            role = method.GetOptions().Extensions[roles_pb2.required_role]
            if role == roles_pb2.ROLE_UNSPECIFIED:
                raise ValueError(f"{service.full_name}/{method.name} has no required_role")
            roles[f"/{service.full_name}/{method.name}"] = role
    for service in _STANDARD:
        for method in service.methods:
            roles[f"/{service.full_name}/{method.name}"] = roles_pb2.ROLE_VIEWER
    return roles
