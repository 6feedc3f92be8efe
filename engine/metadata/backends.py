"""Rows of backends: named by a generation, registered once, in one state at a time."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import journal, quota
from engine.metadata.images import BACKEND
from engine.metadata.store import SqlValue, Tx
from engine.names import BackendName
from engine.records import BackendRow, BackendState, BackendTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendStanding:
    """What a backend may be used for since `changed_at_us`, why, and by which operation; null: by none."""

    state: BackendState
    operation: str | None
    reason: str | None
    changed_at_us: int


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
            terms=BackendTerms(
                weight=cast(float, weight),
                cost_per_gib=cast(float, per_gib),
                cost_per_million_requests=cast(float, per_million_requests),
                object_bytes_max=cast("int | None", object_bytes_max),
            ),
            write_problem=cast("str | None", write_problem),
        )
        for (
            backend_id,
            name,
            kind,
            node,
            failure_domain,
            identity_id,
            identity_state,
            state,
            weight,
            per_gib,
            per_million_requests,
            object_bytes_max,
            write_problem,
        ) in tx.rows("list_backends", {"now_us": tx.now_us()})
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


def set_terms(tx: Tx, backend_id: int, terms: BackendTerms) -> None:
    """What a generation says of its weight, costs and size of objects; processes go by it within a second."""
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "weight": terms.weight,
        "cost_per_gib": terms.cost_per_gib,
        "cost_per_million_requests": terms.cost_per_million_requests,
        "object_bytes_max": terms.object_bytes_max,
    }
    tx.run("upsert_backend_terms", params)


def mark_registered(tx: Tx, backend_id: int) -> None:
    """Its identity object stands; from now on a missing one is an alarm."""
    tx.run("mark_backend_registered", {"backend_id": backend_id})
    journal.append_row(tx, BACKEND, {"backend_id": backend_id})


def set_state(
    tx: Tx, backend_id: int, state: BackendState, *, reason: str | None, operation: str | None = None
) -> None:
    """What the backend may be used for from the commit on, and why; every process is told to look."""
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "state": state.value,
        "reason": reason,
        "operation": operation,
        "now_us": tx.now_us(),
    }
    tx.run("set_backend_state", params)
    journal.append_row(tx, BACKEND, {"backend_id": backend_id})
    tx.tell()


def find_standing(tx: Tx, backend_id: int) -> BackendStanding:
    """A backend's state with what it goes back to; there is a row for every backend."""
    state, operation, reason, changed_at_us = tx.row("find_backend_state", {"backend_id": backend_id})
    return BackendStanding(
        state=BackendState(state),
        operation=cast("str | None", operation),
        reason=cast("str | None", reason),
        changed_at_us=cast(int, changed_at_us),
    )


def takes_placements(tx: Tx, backend_id: int) -> bool:
    """Whether new pieces may be put there."""
    return find_standing(tx, backend_id).state is BackendState.ACTIVE


def was_removed(tx: Tx, row: BackendRow) -> bool:
    """Whether an operator removed it; one that only left the configuration may come back as it was."""
    return row.state is BackendState.REMOVED and find_standing(tx, row.backend_id).operation is not None


def lock_states(tx: Tx) -> None:
    """Keep all states until the commit: what one may be depends on the others. Who places pieces does not wait."""
    tx.lock("lock_backend_states", {})


def fence_backend(tx: Tx, backend_id: int) -> None:
    """Wait until no transaction is left that saw the backend take pieces: what they come to name is there afterwards.

    A committed state must refuse new ones before, or the wait lasts as long as load does.
    """
    tx.lock("lock_fence_for_change", {"backend_id": backend_id})


def count_pieces(tx: Tx, backend_id: int, *, count_max: int) -> int:
    """How many locations lie there; at most `count_max` are counted."""
    (count,) = tx.row("count_backend_locations", {"backend_id": backend_id, "count_max": count_max})
    return cast(int, count)


def holds_pieces(tx: Tx, backend_id: int) -> bool:
    """Whether any location lies there."""
    bounds: dict[str, SqlValue] = {"backend_id": backend_id, "after": "", "before": "\U0010ffff"}
    return tx.row_or_none("has_location_in_range", bounds) is not None


def note_view(
    tx: Tx,
    *,
    backend_id: int,
    instance_id: bytes,
    problem: str | None,
    is_failed: bool = False,
    health: str | None = None,
    phi: float | None = None,
    breaker: str | None = None,
) -> None:
    """How an instance sees a backend now; `problem` null: nothing is wrong. `is_failed`: it cannot be used at all.

    `health` says how far it is trusted, `phi` how sure its silence is, `breaker` whether it is called; null: not said.
    """
    params: dict[str, SqlValue] = {
        "backend_id": backend_id,
        "instance_id": instance_id,
        "health": health,
        "phi": phi,
        "breaker": breaker,
        "problem": problem,
        "failed_since_us": tx.now_us() if is_failed else None,
        "now_us": tx.now_us(),
    }
    tx.run("upsert_backend_view", params)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendView:
    """How an instance saw a backend when it last looked; `problem` is null when nothing was wrong.

    `health`, `phi` and `breaker` are null where nothing was said, the last one also where no breaker stands.
    """

    instance_id: bytes
    problem: str | None
    seen_at_us: int
    health: str | None = None
    phi: float | None = None
    breaker: str | None = None


def list_views(tx: Tx, backend_id: int, *, since_us: int) -> list[BackendView]:
    rows = tx.rows("list_backend_views", {"backend_id": backend_id, "since_us": since_us})
    return [
        BackendView(
            instance_id=cast(bytes, instance_id),
            problem=cast("str | None", problem),
            seen_at_us=cast(int, seen_at_us),
            health=cast("str | None", health),
            phi=cast("float | None", phi),
            breaker=cast("str | None", breaker),
        )
        for instance_id, health, phi, breaker, problem, seen_at_us in rows
    ]


def find_failed(tx: Tx, *, since_us: int) -> set[int]:
    """Backends that most of the instances which looked since then hold for failed."""
    rows = tx.rows("count_backend_views", {"since_us": since_us})
    return {
        cast(int, backend_id) for backend_id, seen, failed in rows if cast(int, failed) * 2 > cast(int, seen)
    }


def rename_backend(tx: Tx, backend_id: int, name: str) -> None:
    """Whoever is removed makes room for a new one of its name."""
    tx.run("rename_backend", {"backend_id": backend_id, "name": name})
    journal.append_row(tx, BACKEND, {"backend_id": backend_id})


def list_problems(tx: Tx, backend_id: int, *, since_us: int) -> list[str]:
    rows = tx.rows("list_backend_problems", {"backend_id": backend_id, "since_us": since_us})
    return [cast(str, row[0]) for row in rows]
