"""Every method of the API has a role, an implementation, a command of adminctl and its place in the reference."""

import ast
from functools import cache
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor
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
    roles_pb2,
    scrub_service_pb2_grpc,
    system_service_pb2_grpc,
    usage_service_pb2_grpc,
    worker_service_pb2_grpc,
)

from controlplane.methods import SERVICES, is_reading, required_roles
from controlplane.services.backends import BackendServicer
from controlplane.services.buckets import BucketServicer
from controlplane.services.cleanup import CleanupServicer
from controlplane.services.config import ConfigServicer
from controlplane.services.healing import HealServicer
from controlplane.services.identities import IdentityServicer
from controlplane.services.keys import KeyServicer
from controlplane.services.logs import LogServicer
from controlplane.services.maintenance import MaintenanceServicer
from controlplane.services.notifications import NotificationServicer
from controlplane.services.objects import ObjectServicer
from controlplane.services.operations import OperationServicer
from controlplane.services.rebalance import RebalanceServicer
from controlplane.services.reconcile import ReconcileServicer
from controlplane.services.replication import ReplicationServicer
from controlplane.services.scrub import ScrubServicer
from controlplane.services.system import SystemServicer
from controlplane.services.usage import UsageServicer
from controlplane.services.workers import WorkerServicer

ROOT = Path(__file__).parents[3]
METHODS = [method for service in SERVICES for method in service.methods]
SERVICERS = {
    "SystemService": (SystemServicer, system_service_pb2_grpc.SystemServiceServicer),
    "ConfigService": (ConfigServicer, config_service_pb2_grpc.ConfigServiceServicer),
    "BackendService": (BackendServicer, backend_service_pb2_grpc.BackendServiceServicer),
    "LogService": (LogServicer, log_service_pb2_grpc.LogServiceServicer),
    "WorkerService": (WorkerServicer, worker_service_pb2_grpc.WorkerServiceServicer),
    "ObjectService": (ObjectServicer, object_service_pb2_grpc.ObjectServiceServicer),
    "BucketService": (BucketServicer, bucket_service_pb2_grpc.BucketServiceServicer),
    "UsageService": (UsageServicer, usage_service_pb2_grpc.UsageServiceServicer),
    "IdentityService": (IdentityServicer, identity_service_pb2_grpc.IdentityServiceServicer),
    "HealService": (HealServicer, heal_service_pb2_grpc.HealServiceServicer),
    "CleanupService": (CleanupServicer, cleanup_service_pb2_grpc.CleanupServiceServicer),
    "KeyService": (KeyServicer, key_service_pb2_grpc.KeyServiceServicer),
    "ScrubService": (ScrubServicer, scrub_service_pb2_grpc.ScrubServiceServicer),
    "ReconcileService": (ReconcileServicer, reconcile_service_pb2_grpc.ReconcileServiceServicer),
    "MaintenanceService": (MaintenanceServicer, maintenance_service_pb2_grpc.MaintenanceServiceServicer),
    "NotificationService": (
        NotificationServicer,
        notification_service_pb2_grpc.NotificationServiceServicer,
    ),
    "RebalanceService": (RebalanceServicer, rebalance_service_pb2_grpc.RebalanceServiceServicer),
    "ReplicationService": (
        ReplicationServicer,
        replication_service_pb2_grpc.ReplicationServiceServicer,
    ),
    "OperationService": (OperationServicer, operation_service_pb2_grpc.OperationServiceServicer),
}


def name_of(method: MethodDescriptor) -> str:
    return f"{method.containing_service.name}/{method.name}"


@cache
def methods_called_by_adminctl() -> set[str]:
    """`XService/Method` for every `XServiceStub` in a file of adminctl and every attribute called there."""
    called = set()
    for file in (ROOT / "adminctl").rglob("*.py"):
        names = [
            node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)
        ]
        services = [name.removesuffix("Stub") for name in names if name.endswith("ServiceStub")]
        called |= {f"{service}/{name}" for service in services for name in names}
    return called


def test_every_service_of_the_protos_is_served() -> None:
    protos = (ROOT / "proto").rglob("*_service.proto")
    declared = {
        line.split()[1]
        for file in protos
        for line in file.read_text().splitlines()
        if line.startswith("service ")
    }

    assert declared == {service.name for service in SERVICES} == set(SERVICERS)


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_every_method_has_a_role(method: MethodDescriptor) -> None:
    assert method.GetOptions().Extensions[roles_pb2.required_role] != roles_pb2.ROLE_UNSPECIFIED


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_what_changes_something_is_not_for_viewers(method: MethodDescriptor) -> None:
    role = required_roles()[f"/{method.containing_service.full_name}/{method.name}"]

    assert is_reading(method.name) or role != roles_pb2.ROLE_VIEWER


@pytest.mark.parametrize(
    ("name", "reads"),
    [
        ("GetX", True),
        ("ListX", True),
        ("WatchX", True),
        ("PlanX", True),
        ("/penstock.admin.v1.XService/TailX", True),
        ("CreateX", False),
        ("GetawayX", False),
        ("Frobnicate", False),
        ("TriggerList", False),
    ],
)
def test_only_known_verbs_read(name: str, reads: bool) -> None:
    assert is_reading(name) == reads


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_what_begins_long_work_counts_as_a_change(method: MethodDescriptor) -> None:
    only_tells = method.name in ("GetOperation", "WaitOperation", "WatchOperation")

    assert only_tells or "operation" not in method.output_type.fields_by_name or not is_reading(method.name)


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_every_method_is_implemented(method: MethodDescriptor) -> None:
    ours, generated = SERVICERS[method.containing_service.name]

    assert getattr(ours, method.name) is not getattr(generated, method.name)


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_every_method_has_a_command(method: MethodDescriptor) -> None:
    assert name_of(method) in methods_called_by_adminctl()


@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_every_method_stands_in_the_reference(method: MethodDescriptor) -> None:
    page = (ROOT / "docs" / "reference" / "control-api.md").read_text()

    assert f"### {method.name}\n" in page


def test_the_services_of_grpc_itself_need_a_caller_too() -> None:
    roles = required_roles()

    assert roles["/grpc.health.v1.Health/Check"] == roles_pb2.ROLE_VIEWER
    assert roles["/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"] == roles_pb2.ROLE_VIEWER
