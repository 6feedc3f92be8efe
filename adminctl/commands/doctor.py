"""`adminctl doctor`: looks at everything from both sides, and says of each finding what to do."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

import click
from penstock.admin.v1 import system_pb2
from penstock.admin.v1 import system_service_pb2 as pb
from penstock.admin.v1 import system_service_pb2_grpc as pb_grpc

from adminctl.client import API_VERSION, Connection
from adminctl.exit_status import ExitStatus
from adminctl.output import print_fields, printable, word
from adminctl.place import is_local

if TYPE_CHECKING:
    from collections.abc import Iterator

CLOCK_OFF_MAX_S = 5.0

NOTICE = "notice"
"""Status of what is no fault yet, and can still be helped."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, and what to do about it."""

    check: str
    status: str
    message: str
    remedy: str = ""


@click.command("doctor")
@click.pass_obj
def command(connection: Connection) -> None:
    """Look for what is wrong: here, on the way, and there; each finding says what to do.

    Looks at address and token, versions, clocks, and all that `adminctl status` shows: database, backends with their
    identities, breakers and limits, workers, instances, generations, keys, disks, certificates, ports, copies that are
    missing, deletions and notifications given up. Exit status 3 when there is a finding; one that is only a notice,
    such as a limit that will be reached, leaves it at 0.
    """
    with connection.channel() as channel:
        stub = pb_grpc.SystemServiceStub(channel)
        version = connection.call(stub.GetVersion, pb.GetVersionRequest())
        health = connection.call(stub.GetHealth, pb.GetHealthRequest())
    findings = [*_on_the_way(connection), *_of_versions(version), *_of_clocks(health), *of_health(health)]
    if connection.format.is_for_people:
        for finding in findings:
            click.echo(printable(f"{finding.status}: {finding.check}: {finding.message}"))
            if finding.remedy:
                click.echo(printable(f"  {finding.remedy}"))
        looked = len(health.checks) + 3
        print_fields([("looked at", f"{looked} things"), ("findings", str(len(findings)))])
    else:
        click.echo(json.dumps({"findings": [asdict(each) for each in findings]}, indent=2))
    if any(each.status != NOTICE for each in findings):
        raise click.exceptions.Exit(ExitStatus.PARTIAL)


def _on_the_way(connection: Connection) -> Iterator[Finding]:
    place = connection.place
    if place.tls is None and not is_local(place.address):
        yield Finding(
            "connection",
            "degraded",
            f"what is said to {place.address} goes over the network in the clear, the token too",
            "use https://HOST:PORT or --ca, or an SSH tunnel",
        )


def _of_versions(version: pb.GetVersionResponse) -> Iterator[Finding]:
    ours = version_of("penstock")
    if API_VERSION not in version.api_versions:
        yield Finding(
            "versions",
            "failed",
            f"the server does not serve {API_VERSION}, which adminctl speaks",
            f"use the adminctl of the server's version, {version.version}",
        )
    elif ours != version.version:
        yield Finding(
            "versions",
            "degraded",
            f"adminctl is {ours}, the server {version.version}",
            "use the adminctl of the server's version",
        )


def _of_clocks(health: pb.GetHealthResponse) -> Iterator[Finding]:
    if not health.server_time.seconds:
        return
    off_s = time.time() - health.server_time.ToNanoseconds() / 1e9
    if abs(off_s) > CLOCK_OFF_MAX_S:
        yield Finding(
            "clocks",
            "degraded",
            f"this machine's clock is {off_s:+.0f} s off the server's",
            "let both keep time by NTP",
        )


def of_health(health: pb.GetHealthResponse) -> Iterator[Finding]:
    for check in health.checks:
        if check.status == system_pb2.HEALTH_STATUS_OK:
            if check.remedy:
                yield Finding(check.name, NOTICE, check.message, check.remedy)
        else:
            status = word(system_pb2.HealthStatus.Name(check.status), "HEALTH_STATUS_")
            yield Finding(check.name, status, check.message, check.remedy)
