"""The one row of the deployment: its id, its node, the latest time it has seen."""

from dataclasses import dataclass
from typing import cast

from engine.metadata import journal
from engine.metadata.images import DEPLOYMENT
from engine.metadata.store import Tx

STEP_BACK_MAX_US = 5_000_000
"""A clock that stands further below the largest time stored is wrong, or was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentRow:
    """A deployment as its database knows it. A deployment with volumes has a node."""

    deployment_id: bytes
    node: str | None
    created_at_us: int


def read_deployment(tx: Tx) -> DeploymentRow | None:
    row = tx.row_or_none("find_deployment", {})
    if row is None:
        return None
    return DeploymentRow(
        deployment_id=cast(bytes, row[0]), node=cast("str | None", row[1]), created_at_us=cast(int, row[2])
    )


def create_deployment(tx: Tx, *, deployment_id: bytes, node: str | None) -> None:
    tx.run("insert_deployment", {"deployment_id": deployment_id, "node": node, "now_us": tx.now_us()})
    journal.append_row(tx, DEPLOYMENT, {})


def set_node(tx: Tx, node: str) -> None:
    """The deployment's first volumes give it its node; later ones find it."""
    if tx.run("update_deployment_node", {"node": node}):
        journal.append_row(tx, DEPLOYMENT, {})


def note_time(tx: Tx) -> int:
    """Remember the time; how far the clock stands below what was seen before, if that is too far, else 0."""
    row = tx.row_or_none("find_deployment", {})
    if row is None:
        return 0
    tx.run("note_time", {"now_us": tx.now_us()})
    step_us = cast(int, row[3]) - tx.now_us()
    return step_us if step_us > STEP_BACK_MAX_US else 0
