"""Tokens may be held to some methods; what a scope does not name is not called, whatever the token's role."""

import pytest
from penstock.admin.v1 import roles_pb2

from controlplane.callers import Caller

PACKAGE = "/penstock.admin.v1."


def caller(*scopes: str) -> Caller:
    return Caller(name="ci", role=roles_pb2.ROLE_ADMIN, scopes=scopes)


@pytest.mark.parametrize(
    ("scope", "method"),
    [
        ("WorkerService/TriggerWorker", "WorkerService/TriggerWorker"),
        ("WorkerService/*", "WorkerService/TriggerWorker"),
        ("*/Get*", "WorkerService/GetWorker"),
        ("*/*", "WorkerService/GetWorker"),
        ("*Service/*Worker*", "WorkerService/ListWorkers"),
    ],
)
def test_a_scope_lets_in_what_it_names(scope: str, method: str) -> None:
    assert not caller(scope).is_held_back_from(PACKAGE + method)


@pytest.mark.parametrize(
    ("scope", "method"),
    [
        ("WorkerService/TriggerWorker", "WorkerService/GetWorker"),
        ("WorkerService/*", "BackendService/GetBackend"),
        ("workerservice/*", "WorkerService/GetWorker"),
        ("*/Get*", "WorkerService/TriggerWorker"),
        ("Worker*", "WorkerService/GetWorker"),
        ("*", "WorkerService/GetWorker"),
        ("Service/*", "WorkerService/GetWorker"),
    ],
)
def test_a_scope_lets_in_nothing_else(scope: str, method: str) -> None:
    assert caller(scope).is_held_back_from(PACKAGE + method)


def test_one_of_several_scopes_is_enough() -> None:
    assert not caller("ConfigService/*", "WorkerService/Get*").is_held_back_from(
        f"{PACKAGE}WorkerService/GetWorker"
    )


def test_without_scopes_the_role_alone_counts() -> None:
    unlimited = Caller(name="ops", role=roles_pb2.ROLE_VIEWER)

    assert not unlimited.is_held_back_from(f"{PACKAGE}WorkerService/TriggerWorker")


def test_a_scope_of_many_stars_is_looked_at_in_no_time() -> None:
    assert caller("*a" * 30 + "/*").is_held_back_from(f"{PACKAGE}{'a' * 20}{'b' * 40}/Get")
