"""Which role each method needs, read from the descriptors: the proto files are the only place that says so."""

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from penstock.admin.v1 import (
    backend_service_pb2,
    config_service_pb2,
    object_service_pb2,
    operation_service_pb2,
    roles_pb2,
    system_service_pb2,
    worker_service_pb2,
)

from controlplane.callers import Role

SERVICES: tuple[ServiceDescriptor, ...] = (
    system_service_pb2.DESCRIPTOR.services_by_name["SystemService"],
    config_service_pb2.DESCRIPTOR.services_by_name["ConfigService"],
    backend_service_pb2.DESCRIPTOR.services_by_name["BackendService"],
    worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"],
    object_service_pb2.DESCRIPTOR.services_by_name["ObjectService"],
    operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"],
)

# The services of gRPC itself carry no option of ours.
_STANDARD = (
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
)


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
