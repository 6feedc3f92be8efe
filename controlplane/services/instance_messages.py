"""Instances and their processes as messages."""

from penstock.admin.v1 import system_pb2

from controlplane.times import timestamp
from engine.metadata.processes import InstanceRow, ProcessRow

PLANES = {"dataplane": system_pb2.PLANE_DATA, "controlplane": system_pb2.PLANE_CONTROL}


def write_instance(row: InstanceRow) -> system_pb2.Instance:
    return system_pb2.Instance(
        name=f"instances/{row.instance_id.hex()}",
        node=row.node,
        version=row.version,
        start_time=timestamp(row.started_at_us),
        heartbeat_time=timestamp(row.heartbeat_at_us),
        alive=row.is_alive,
        processes=[_write_process(process) for process in row.processes],
        draining=row.is_draining,
        stopping=row.is_stopping,
    )


def _write_process(row: ProcessRow) -> system_pb2.Process:
    return system_pb2.Process(
        process_id=row.process_id.hex(),
        plane=PLANES[row.plane],
        pid=row.pid,
        config_generation=row.generation or 0,
        last_error=row.last_error or "",
        start_time=timestamp(row.started_at_us),
        heartbeat_time=timestamp(row.heartbeat_at_us),
        alive=row.is_alive,
        refused_generation=row.refused_generation or 0,
        refusal=row.refusal or "",
        in_flight_count=row.in_flight_count,
        drained=row.is_drained,
    )
