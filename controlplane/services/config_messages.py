"""What is known of the configuration and of who runs it, as messages."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct, Value
from penstock.admin.v1 import config_pb2

from controlplane.services.instance_messages import PLANES
from controlplane.times import timestamp
from engine.metadata.generations import Generation
from engine.metadata.processes import InstanceRow, ProcessRow, list_instances
from engine.metadata.store import Tx
from engine.settings.differences import Change, Effect
from engine.settings.sources import Provenance, ValueSource

INSTANCE_COUNT_MAX = 1000
PATH_COUNT_MAX = 10

APPLIED = config_pb2.CONFIG_PROCESS_STATE_APPLIED
PENDING = config_pb2.CONFIG_PROCESS_STATE_PENDING
REFUSED = config_pb2.CONFIG_PROCESS_STATE_REFUSED

_EFFECTS = {
    Effect.LIVE: config_pb2.CONFIG_EFFECT_LIVE,
    Effect.PROCESS_RESTART: config_pb2.CONFIG_EFFECT_PROCESS_RESTART,
    Effect.NODE_RESTART: config_pb2.CONFIG_EFFECT_NODE_RESTART,
}


_PROVENANCES = {
    Provenance.DEFAULT: config_pb2.CONFIG_PROVENANCE_DEFAULT,
    Provenance.FILE: config_pb2.CONFIG_PROVENANCE_FILE,
    Provenance.REFERENCE: config_pb2.CONFIG_PROVENANCE_REFERENCE,
    Provenance.API: config_pb2.CONFIG_PROVENANCE_API,
}


def write_document(document: Mapping[str, Any]) -> Struct:
    """A document that holds no secret any more."""
    struct = Struct()
    struct.update(document)
    return struct


def write_change(change: Change) -> config_pb2.ConfigChange:
    return config_pb2.ConfigChange(
        path=change.path,
        old_value=_value(change.old),
        new_value=_value(change.new),
        effect=_EFFECTS[change.effect],
    )


def write_source(source: ValueSource) -> config_pb2.ConfigSource:
    return config_pb2.ConfigSource(
        path=source.path, provenance=_PROVENANCES[source.provenance], reference=source.reference
    )


def write_generation(row: Generation, changes: Sequence[Change]) -> config_pb2.ConfigGeneration:
    return config_pb2.ConfigGeneration(
        name=f"configGenerations/{row.generation}",
        generation=row.generation,
        author=row.author,
        create_time=timestamp(row.created_at_us),
        from_file=row.file_digest is not None,
        changed_paths=[each.path for each in changes[:PATH_COUNT_MAX]],
        change_count=len(changes),
        comment=row.comment or "",
    )


def processes(tx: Tx, generation: int) -> list[config_pb2.ConfigProcess]:
    """Every live process, and what it makes of a generation."""
    return list(_processes(list_instances(tx, count_max=INSTANCE_COUNT_MAX), generation))


def _processes(instances: Iterable[InstanceRow], generation: int) -> Iterator[config_pb2.ConfigProcess]:
    for instance in instances:
        for row in instance.processes:
            if not row.is_alive:
                continue
            state = _state(row, generation)
            yield config_pb2.ConfigProcess(
                instance=f"instances/{instance.instance_id.hex()}",
                node=instance.node,
                process_id=row.process_id.hex(),
                plane=PLANES[row.plane],
                pid=row.pid,
                generation=row.generation or 0,
                state=state,
                problem=(row.refusal or "") if state == REFUSED else "",
            )


def _state(row: ProcessRow, generation: int) -> "config_pb2.ConfigProcessState.ValueType":
    if (row.generation or 0) >= generation:
        return APPLIED
    return REFUSED if (row.refused_generation or 0) >= generation else PENDING


def _value(value: Any) -> Value | None:
    return None if value is None else ParseDict(value, Value())
