"""Rows of backends: named by a generation, registered once, in one state at a time."""

from typing import cast

from engine.metadata import journal, quota
from engine.metadata.images import BACKEND
from engine.metadata.store import SqlValue, Tx
from engine.names import BackendName
from engine.records import BackendRow, BackendState


def list_backends(tx: Tx) -> list[BackendRow]:
    return [
        BackendRow(
            backend_id=cast(int, backend_id),
            name=BackendName(cast(str, name)),
            kind=cast(str, kind),
            node=cast("str | None", node),
            failure_domain=cast(str, failure_domain),
            identity_id=cast(bytes, identity_id),
            is_registered=identity_state == "registered",
            state=BackendState(state),
        )
        for backend_id, name, kind, node, failure_domain, identity_id, identity_state, state in tx.rows(
            "list_backends", {}
        )
    ]


def ensure_backend(
    tx: Tx,
    *,
    name: BackendName,
    kind: str,
    node: str | None,
    failure_domain: str,
    identity_id: bytes,
    quota_bytes: int | None,
) -> int:
    """The backend's id. A new one is registering until its identity object stands."""
    for row in list_backends(tx):
        if row.name == name:
            if row.failure_domain != failure_domain:
                tx.run("update_backend", {"backend_id": row.backend_id, "failure_domain": failure_domain})
            quota.set_limit(tx, quota.backend_subject(row.backend_id), quota_bytes)
            journal.append_row(tx, BACKEND, {"backend_id": row.backend_id})
            return row.backend_id
    (inserted,) = tx.row(
        "insert_backend",
        {
            "name": name,
            "kind": kind,
            "node": node,
            "failure_domain": failure_domain,
            "identity_id": identity_id,
            "now_us": tx.now_us(),
        },
    )
    backend_id = cast(int, inserted)
    state: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "state": BackendState.ACTIVE.value,
        "now_us": tx.now_us(),
    }
    tx.run("insert_backend_state", state)
    tx.run("insert_backend_fence", {"backend_id": backend_id})
    quota.ensure_subject(tx, quota.backend_subject(backend_id), quota_bytes)
    journal.append_row(tx, BACKEND, {"backend_id": backend_id})
    return backend_id


def mark_registered(tx: Tx, backend_id: int) -> None:
    """Its identity object stands; from now on a missing one is an alarm."""
    tx.run("mark_backend_registered", {"backend_id": backend_id})
    journal.append_row(tx, BACKEND, {"backend_id": backend_id})


def set_state(tx: Tx, backend_id: int, state: BackendState, *, reason: str | None) -> None:
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "state": state.value,
        "reason": reason,
        "now_us": tx.now_us(),
    }
    tx.run("set_backend_state", params)
    journal.append_row(tx, BACKEND, {"backend_id": backend_id})


def holds_pieces(tx: Tx, backend_id: int) -> bool:
    """Whether any location lies there."""
    bounds: dict[str, SqlValue] = {"backend_id": backend_id, "after": "", "before": "\U0010ffff"}
    return tx.row_or_none("has_location_in_range", bounds) is not None


def note_view(tx: Tx, *, backend_id: int, instance_id: bytes, problem: str | None) -> None:
    """How an instance sees a backend now; null: nothing is wrong."""
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "instance_id": instance_id,
        "problem": problem,
        "now_us": tx.now_us(),
    }
    tx.run("upsert_backend_view", params)


def list_problems(tx: Tx, backend_id: int, *, since_us: int) -> list[str]:
    rows = tx.rows("list_backend_problems", {"backend_id": backend_id, "since_us": since_us})
    return [cast(str, row[0]) for row in rows]
