"""Draining rewrites imported objects as blobs of ours; whatever fails, they read as before and end as ours."""

from pathlib import Path

import pytest

from engine.backends.memory import Call, Fault
from engine.errors import DatabaseUnavailable, DrainIncomplete, OutcomeUnknown
from engine.records import BackendState, Sealing
from tests.support.imported import Far
from tests.support.moving import state_of
from tests.support.nth import numbers

COUNT_MAX = 100


@pytest.mark.parametrize("seal", Sealing)
def test_a_drain_makes_them_blobs_of_ours(tmp_path: Path, engine: str, seal: Sealing) -> None:
    far = Far(tmp_path / "rig", seal=seal)
    far.prepare(1)
    before = {key: far.rig.find(key).version for key in far.contents}

    far.drain()

    far.check("a drain")
    for key, was in before.items():
        now = far.rig.find(key).version
        assert (now.etag, now.created_at_us, now.headers, now.version_seq) == (
            was.etag,
            was.created_at_us,
            was.headers,
            was.version_seq,
        )
        assert now.sse_kind == ("AES256" if seal is Sealing.ALL and now.size_bytes else None)
    far.rig.close()


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "behind"])
def test_the_process_dies_at_the_nth_commit(tmp_path: Path, engine: str, is_committed: bool) -> None:
    far = Far(tmp_path / "rig")
    for number in numbers(engine, COUNT_MAX, start=1):
        far.prepare(number)
        far.die_at(number, is_committed=is_committed)
        has_died = False
        try:
            far.drain()
        except (DatabaseUnavailable, OutcomeUnknown):
            has_died = True
            far.live_on()
            assert far.read() == far.contents
            far.drain()
        far.check(f"commit {number}")
        if not has_died:
            break
    else:
        raise AssertionError("it never gets through")
    far.live_on()
    far.rig.close()


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize(
    ("store", "call"),
    [(0, Call.READ), (1, Call.STORE), (1, Call.OPEN_WRITER), (1, Call.WRITE), (1, Call.FINISH)],
)
def test_the_nth_call_to_a_store_fails(
    tmp_path: Path, engine: str, store: int, call: Call, fault: Fault
) -> None:
    far = Far(tmp_path / "rig")
    struck_at = far.rig.memories[store]
    for number in numbers(engine, COUNT_MAX, stride=6):
        far.prepare(number)
        struck_at.faults.add(call, fault, after_count=number)

        try:
            far.drain()
        except DrainIncomplete:
            # What cannot be read stays, and is tried again when the drain is.
            assert (store, call) == (0, Call.READ)

        struck = struck_at.faults.is_spent()
        struck_at.faults.clear()
        struck_at.land_late()
        for memory in far.rig.memories:
            far.rig.health.forgive(memory.backend_id)
        if state_of(far.rig, far.backend_id) is BackendState.DRAINING:
            far.drain()
        far.check(f"{call} {number}")
        if not struck:
            break
    else:
        raise AssertionError("it never gets through")
    far.rig.close()
