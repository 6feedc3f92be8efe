"""How long clients wait beside compaction, scrub and rebalancing as fast as they go, and with nothing beside them.

In turns within one run, so that neighbours on the machine touch both alike. `PENSTOCK_CHAOS_P99=1` holds GETs and small
PUTs to 25 % more at the 99th percentile, which asks for a machine with nothing else to do.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from penstock.admin.v1 import rebalance_service_pb2 as pb

from tests.chaos.background_rig import BackgroundRig, Waits, background_rig, edited, p99_s
from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served

LONG = bool(os.environ.get("PENSTOCK_CHAOS_P99"))
ROUND_COUNT = 9 if LONG else 1
TURN_S = 5.0 if LONG else 0.7
BESIDE_S_MAX = 20.0
FILLED_BYTES = (160 if LONG else 16) * 2**20
DEAD_BYTES = (64 if LONG else 4) * 2**20
RATIO_MAX = 1.25 if LONG else 5.0
SLACK_S = 0.0 if LONG else 0.5

PACK, SPREAD = pb.REBALANCE_STRATEGY_PACK, pb.REBALANCE_STRATEGY_SPREAD

pytestmark = pytest.mark.timeout(900 if LONG else 180)


@pytest.fixture(params=ENGINES if LONG else ENGINES[:1])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BackgroundRig]:
    server = shared_server() if request.param == "postgres" else None
    name = None if server is None else server.create_empty_database()

    def edit(text: str) -> str:
        text = edited(text)
        return text if server is None or name is None else with_database(text, server, name)

    with Served(tmp_path, volumes=2, edit_config=edit) as served, background_rig(served) as made:
        made.fill(FILLED_BYTES)
        yield made
    if server is not None and name is not None:
        server.drop_database(name)


class Turns:
    """Waits with nothing beside them and waits beside something, by turns."""

    def __init__(self, rig: BackgroundRig) -> None:
        self._rig = rig
        self._alone: list[Waits] = []
        self._beside: list[Waits] = []
        rig.measure(_after(TURN_S))

    def alone(self) -> None:
        self._alone.append(self._rig.measure(_after(TURN_S)))

    def beside(self, begin: Callable[[], Any], *, least_s: float = 0.0) -> Any:
        """Beside an operation, begun again until the time is over; the last of them as it ended.

        What takes longer than `BESIDE_S_MAX` goes on to its end with nobody beside it.
        """
        running, is_late, is_enough = begin(), _after(least_s), _after(BESIDE_S_MAX)

        def is_over() -> bool:
            nonlocal running
            if self._rig.ended(running) is None:
                return is_enough()
            if is_late():
                return True
            running = begin()
            return False

        self._beside.append(self._rig.measure(is_over))
        while self._rig.ended(running) is None:
            time.sleep(0.1)
        return self._rig.ended(running)

    def check(self, what: str) -> None:
        """The median of the turns, so that one bad moment of the machine decides nothing."""
        for kind in ("get_s", "put_s"):
            alone = [p99_s(getattr(turn, kind)) for turn in self._alone]
            beside = [p99_s(getattr(turn, kind)) for turn in self._beside]
            calm_s, busy_s = statistics.median(alone), statistics.median(beside)
            counts = [
                sum(len(getattr(turn, kind)) for turn in turns) for turns in (self._alone, self._beside)
            ]
            print(
                f"{what} {kind[:3]}: p99 {calm_s * 1000:.2f} ms alone, {busy_s * 1000:.2f} ms beside,"
                f" {busy_s / calm_s:.2f} times, of {counts}"
            )
            assert busy_s <= RATIO_MAX * calm_s + SLACK_S, (what, kind, alone, beside)


def _after(seconds: float) -> Callable[[], bool]:
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() >= end_s


def test_clients_hardly_feel_a_scrub(rig: BackgroundRig) -> None:
    turns = Turns(rig)
    for _ in range(ROUND_COUNT):
        turns.alone()
        turns.beside(rig.scrub, least_s=TURN_S)
    turns.check("scrub")


def test_clients_hardly_feel_a_compaction(rig: BackgroundRig, request: pytest.FixtureRequest) -> None:
    if "postgres" in request.node.name and "PENSTOCK_CHAOS_P99" not in os.environ:
        pytest.skip("serving processes may take the files to compact first: PENSTOCK_CHAOS_P99=1")
    turns, reclaimed_bytes, round_count = Turns(rig), 0, 0
    # A serving process that opens a file just now may have taken what was to be compacted: then once more.
    while round_count < ROUND_COUNT or reclaimed_bytes < 0.2 * DEAD_BYTES * ROUND_COUNT:
        round_count += 1
        assert round_count <= 3 * ROUND_COUNT, reclaimed_bytes
        rig.prepare_dead(DEAD_BYTES)
        turns.alone()
        ended = turns.beside(rig.compact)
        reclaimed_bytes += ended.result.fields["reclaimed_bytes"].number_value
        # What is held to 25 % is held beside a compaction every time.
        assert not LONG or reclaimed_bytes > 0.2 * DEAD_BYTES * round_count, ended
    turns.check("compaction")


def test_clients_hardly_feel_a_rebalance(rig: BackgroundRig) -> None:
    turns = Turns(rig)
    for index in range(ROUND_COUNT):
        turns.alone()
        ended = turns.beside(partial(rig.rebalance, PACK if index % 2 == 0 else SPREAD))
        assert ended.progress.done_bytes > 0.3 * FILLED_BYTES, ended
    turns.check("rebalance")
