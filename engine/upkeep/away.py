"""Which backends have been away so long that pieces there count for nothing, and whether that may be healed at all."""

from collections.abc import Mapping
from dataclasses import dataclass

from engine.metadata import redundancy_passes
from engine.metadata.backends import find_failed, list_backends
from engine.metadata.buckets import list_schemes
from engine.metadata.redundancy_passes import Phase, RedundancyPass
from engine.metadata.store import Tx
from engine.records import BackendState, Scheme

VIEW_FRESH_S = 30.0
"""Views of instances that looked longer ago say nothing: who lives looks three times as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealPolicy:
    """`heal_after_s` is how long a backend is failed before its pieces are made anew elsewhere."""

    heal_after_s: float
    default_scheme: Scheme


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """The backends as one transaction shows them.

    Pieces on those in `away` count for nothing. `is_stopped`: more failure domains are away at once than any scheme
    survives, which is rather a fault of ours than of theirs: then nothing is made anew because of it.
    """

    domains: Mapping[int, str]
    away: frozenset[int]
    is_stopped: bool
    passes: tuple[RedundancyPass, ...]


def read_presence(tx: Tx, policy: HealPolicy) -> Presence:
    domains = {row.backend_id: row.failure_domain for row in list_backends(tx)}
    passes = tuple(redundancy_passes.list_passes(tx))
    before_us = tx.now_us() - int(policy.heal_after_s * 1_000_000)
    away = frozenset(
        each.backend_id
        for each in passes
        if each.phase is Phase.AWAY and each.backend_id is not None and each.since_us <= before_us
    )
    survived_count = max([policy.default_scheme, *list_schemes(tx)], key=lambda each: each.count).count - 1
    is_stopped = len({domains[each] for each in away}) > survived_count
    return Presence(
        domains=domains, away=frozenset() if is_stopped else away, is_stopped=is_stopped, passes=passes
    )


def note_absences(tx: Tx, policy: HealPolicy) -> list[tuple[int, Phase | None]]:
    """Write down who is away since now and who came back; what changed, by backend. Null: nothing is
    left to be done.
    """
    failed = find_failed(tx, since_us=tx.now_us() - int(VIEW_FRESH_S * 1_000_000))
    known = {each.backend_id: each for each in redundancy_passes.list_passes(tx)}
    healed_since_us = tx.now_us() - int(policy.heal_after_s * 1_000_000)
    changes: list[tuple[int, Phase | None]] = []
    for row in list_backends(tx):
        backend_id, before = row.backend_id, known.get(row.backend_id)
        is_away = backend_id in failed and row.is_registered and row.state is not BackendState.REMOVED
        if is_away and (before is None or before.phase is not Phase.AWAY):
            redundancy_passes.begin(tx, Phase.AWAY, backend_id=backend_id)
            changes.append((backend_id, Phase.AWAY))
        elif not is_away and before is not None and before.phase is Phase.AWAY:
            # Healing may have begun, and then there are copies beside those that are back.
            if before.since_us <= healed_since_us:
                redundancy_passes.begin(tx, Phase.RETURNED, backend_id=backend_id)
                changes.append((backend_id, Phase.RETURNED))
            else:
                redundancy_passes.drop(tx, before.subject)
                changes.append((backend_id, None))
    return changes
