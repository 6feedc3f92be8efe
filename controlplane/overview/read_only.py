"""The read-only switch as the API tells it."""

from penstock.admin.v1 import system_pb2

from controlplane.times import timestamp
from engine.metadata.switches import Switch


def write_read_only(switch: Switch | None) -> system_pb2.ReadOnlyMode:
    """One that nobody ever turned is off."""
    if switch is None:
        return system_pb2.ReadOnlyMode()
    return system_pb2.ReadOnlyMode(
        enabled=switch.is_on,
        reason=switch.reason,
        changed_by=switch.changed_by,
        change_time=timestamp(switch.changed_at_us),
    )
