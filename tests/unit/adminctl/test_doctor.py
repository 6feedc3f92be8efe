"""What `adminctl doctor` makes of a server's health: what is wrong is a finding, and what will be is a notice."""

from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb

from adminctl.commands.doctor import NOTICE, Finding, of_health

OK, DEGRADED = system_pb2.HEALTH_STATUS_OK, system_pb2.HEALTH_STATUS_DEGRADED


def check(name: str, status: "system_pb2.HealthStatus.ValueType", remedy: str = "") -> system_pb2.HealthCheck:
    return system_pb2.HealthCheck(name=name, status=status, message="so it is", remedy=remedy)


def test_what_is_well_is_no_finding_unless_something_can_be_done() -> None:
    health = pb.GetHealthResponse(
        checks=[
            check("database", OK),
            check("limits", OK, "raise the limit"),
            check("cleanup", DEGRADED, "see the dead letters"),
        ]
    )

    assert list(of_health(health)) == [
        Finding("limits", NOTICE, "so it is", "raise the limit"),
        Finding("cleanup", "degraded", "so it is", "see the dead letters"),
    ]
