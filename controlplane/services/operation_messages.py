"""Operations as messages; every rpc that starts long work answers one."""

from collections.abc import Mapping

from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct
from penstock.admin.v1 import operation_pb2

from controlplane.operations.rates import left_s
from controlplane.times import duration, timestamp
from engine.metadata.operations import OperationProgress, OperationRow, OperationState

STATES = {
    OperationState.PENDING: operation_pb2.OPERATION_STATE_PENDING,
    OperationState.RUNNING: operation_pb2.OPERATION_STATE_RUNNING,
    OperationState.SUCCEEDED: operation_pb2.OPERATION_STATE_SUCCEEDED,
    OperationState.FAILED: operation_pb2.OPERATION_STATE_FAILED,
    OperationState.CANCELLED: operation_pb2.OPERATION_STATE_CANCELLED,
}


def write_operation(row: OperationRow) -> operation_pb2.Operation:
    return operation_pb2.Operation(
        name=row.name,
        method=row.method,
        target=row.target,
        state=STATES[row.state],
        done=row.state.is_final,
        progress=_progress(row.progress, is_final=row.state.is_final),
        create_time=timestamp(row.created_at_us),
        start_time=timestamp(row.started_at_us),
        end_time=timestamp(row.finished_at_us),
        error_message=row.error or "",
        error_reason=row.error_reason or "",
        creator=row.creator or "",
        process=row.holder.hex() if row.holder is not None else "",
        request=_struct(row.request) if row.request else None,
        result=_struct(row.result) if row.result is not None else None,
        warnings=row.warnings,
        cancel_requested=row.is_cancel_requested,
        canceller=row.cancelled_by or "",
    )


def _progress(progress: OperationProgress, *, is_final: bool) -> operation_pb2.OperationProgress:
    eta_s = None if is_final else left_s(progress)
    return operation_pb2.OperationProgress(
        done_count=progress.done_count,
        deferred_count=progress.deferred_count,
        failed_count=progress.failed_count,
        total_count=progress.total_count,
        done_bytes=progress.done_bytes,
        total_bytes=progress.total_bytes,
        items_per_second=progress.items_per_second,
        bytes_per_second=int(progress.bytes_per_second),
        eta=duration(eta_s) if eta_s is not None else None,
        stage=progress.stage,
        current_item=progress.current_item,
        warning_count=progress.warning_count,
    )


def _struct(fields: Mapping[str, object]) -> Struct:
    return ParseDict(dict(fields), Struct())
