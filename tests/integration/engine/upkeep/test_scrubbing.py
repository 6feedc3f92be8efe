"""The scrubber reads every byte once a period, marks what is bad, cures what can be, and goes on where it stopped."""

from dataclasses import dataclass, field

import pytest

from engine.errors import LeaseLost
from engine.metadata.pieces import StandingPiece
from engine.metadata.scrub_passes import ScrubPass, list_passes
from engine.metadata.store import Tx
from engine.records import Copies, Location, LocationState, Progress
from engine.units import DAY_S, KIB
from engine.upkeep.fsck_cards import RingCards
from engine.upkeep.long_work import Fence
from engine.upkeep.piece_check import PieceChecker
from engine.upkeep.piece_inspection import Cure, PieceInspector
from engine.upkeep.scrubbing import LOOK_AGAIN_FIRST_S, Agenda, Scrubber
from tests.integration.engine.upkeep.conftest import MakeRig
from tests.support.deployments import no_fence
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

PERIOD_S = 30.0 * DAY_S


@dataclass
class NoHealer:
    """Cures nothing, and remembers what it was asked for."""

    asked: list[StandingPiece] = field(default_factory=list)

    def heal(self, piece: StandingPiece, /, *, is_readable: bool) -> Cure:
        self.asked.append(piece)
        return Cure(is_cured=False, what="nothing")


def scrubber(
    rig: ObjectRig,
    *,
    agenda: Agenda | None = None,
    fence: Fence = no_fence,
    healer: NoHealer | None = None,
) -> Scrubber:
    cards = RingCards(rig.ring)
    checker = PieceChecker(rig.store, rig.backends, volumes=rig.volumes, cards=cards)
    return Scrubber(
        rig.store,
        rig.backends,
        PieceInspector(rig.store, checker, fence=fence, healer=healer),
        agenda=agenda or Agenda(),
        fence=fence,
        clock=rig.clock,
        period_s=PERIOD_S,
    )


def run(made: Scrubber) -> Progress:
    """One run of the worker."""
    done = deferred = 0
    for _ in range(1000):
        step = made.work()
        done, deferred = done + step.done_count, deferred + step.deferred_count
        if not step.has_more:
            return Progress(done_count=done, deferred_count=deferred)
    raise AssertionError("it never ends")


def wait_days(rig: ObjectRig, days: float) -> None:
    rig.clock.ahead_us += int(days * DAY_S * 1_000_000)


def passes(rig: ObjectRig) -> list[ScrubPass]:
    return list(rig.store.read(list_passes).values())


def state_of(rig: ObjectRig, key: str) -> list[LocationState]:
    return [each.state for each in rig.find(key).slices[0].locations]


def location(rig: ObjectRig, key: str) -> Location:
    return rig.find(key).slices[0].locations[0]


def test_a_pass_reads_what_the_time_that_went_asks_for_and_ends_within_the_period(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    for number in range(40):
        rig.put(f"key-{number}", payload_of(900 * KIB, seed=number))

    begun = run(scrubber(rig))
    wait_days(rig, 15)
    half = run(scrubber(rig))
    (under_way,) = passes(rig)
    wait_days(rig, 13)
    rest = run(scrubber(rig))

    # A pass begins with a unit of 16 MiB; half the period asks for 56 %, and the next unit goes past it.
    assert begun.done_count == 19
    assert half.done_count == 19
    assert (under_way.piece_count, under_way.ended_at_us) == (38, None)
    assert rest.done_count == 2
    (ended,) = passes(rig)
    assert ended.ended_at_us is not None
    assert ended.whole_begun_at_us == ended.begun_at_us
    assert (ended.piece_count, ended.bad_count) == (40, 0)


def test_the_next_pass_begins_when_the_period_is_over_and_not_before(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("key", payload_of(1000))
    assert run(scrubber(rig)).done_count == 1
    wait_days(rig, 29)
    run(scrubber(rig))
    (first,) = passes(rig)

    run(scrubber(rig))
    assert passes(rig) == [first]
    wait_days(rig, 1)
    run(scrubber(rig))

    (second,) = passes(rig)
    assert second.begun_at_us > first.begun_at_us
    assert (second.ended_at_us, second.whole_begun_at_us) == (None, first.begun_at_us)


def test_what_was_written_since_the_pass_began_is_passed_unread(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("old", payload_of(1000))
    assert run(scrubber(rig)).done_count == 1
    rig.put("new", payload_of(1000, seed=1))
    wait_days(rig, 29)

    assert run(scrubber(rig)).done_count == 0

    (ended,) = passes(rig)
    assert (ended.piece_count, ended.ended_at_us is not None) == (2, True)


@pytest.mark.parametrize("memory_count", [0, 2])
def test_bad_pieces_are_suspect_and_told_and_good_ones_are_not(make_rig: MakeRig, memory_count: int) -> None:
    rig = make_rig(volume_count=2 - memory_count, memory_count=memory_count, scheme=Copies(count=2))
    for number in range(5):
        rig.put(f"key-{number}", payload_of(600 * KIB, seed=number))
    bad = location(rig, "key-3")
    rig.damage(bad.storage_key, 500 * KIB)
    healer = NoHealer()

    progress = run(scrubber(rig, healer=healer))

    assert (progress.done_count, progress.deferred_count) == (9, 1)
    assert [each.location for each in healer.asked] == [bad]
    assert state_of(rig, "key-3") == [LocationState.SUSPECT, LocationState.LIVE]
    assert all(state_of(rig, f"key-{n}") == [LocationState.LIVE] * 2 for n in (0, 1, 2, 4))
    assert sum(each.bad_count for each in passes(rig)) == 1


def test_what_a_read_suspected_is_looked_at_at_once_and_trusted_when_it_is_good(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("key", payload_of(1000))
    rig.objects.suspicions.add(location(rig, "key"), "a test")
    rig.objects.suspicions.flush()
    assert state_of(rig, "key") == [LocationState.SUSPECT]

    run(scrubber(rig))

    assert state_of(rig, "key") == [LocationState.LIVE]


def test_what_stays_bad_is_looked_at_again_after_growing_pauses(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("key", payload_of(1000))
    run(scrubber(rig))
    rig.damage(location(rig, "key").storage_key, 10)
    rig.objects.suspicions.add(location(rig, "key"), "a test")
    rig.objects.suspicions.flush()
    agenda, healer = Agenda(), NoHealer()

    def asked() -> int:
        run(scrubber(rig, agenda=agenda, healer=healer))
        return len(healer.asked)

    assert (asked(), asked()) == (1, 1)
    rig.clock.ahead_us += LOOK_AGAIN_FIRST_S * 1_000_000
    assert (asked(), asked()) == (2, 2)
    rig.clock.ahead_us += LOOK_AGAIN_FIRST_S * 1_000_000
    assert asked() == 2
    rig.clock.ahead_us += LOOK_AGAIN_FIRST_S * 1_000_000
    assert asked() == 3
    assert state_of(rig, "key") == [LocationState.SUSPECT]


def test_a_scrubber_that_lost_its_lease_writes_nothing(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=1)
    rig.put("key", payload_of(1000))
    run(scrubber(rig))
    rig.damage(location(rig, "key").storage_key, 10)
    wait_days(rig, 31)
    before = passes(rig)

    def lost(tx: Tx) -> None:
        raise LeaseLost("scrubber")

    with pytest.raises(LeaseLost):
        run(scrubber(rig, fence=lost))

    assert passes(rig) == before
    assert state_of(rig, "key") == [LocationState.LIVE]


def test_a_backend_that_is_away_is_deferred_and_the_others_go_on(make_rig: MakeRig) -> None:
    rig = make_rig(volume_count=2, scheme=Copies(count=2))
    for number in range(3):
        rig.put(f"key-{number}", payload_of(1000, seed=number))
    away = rig.volumes[0].path.rename(rig.folder / "unmounted")
    rig.volumes[0].path.mkdir()

    first = run(scrubber(rig))
    rig.volumes[0].path.rmdir()
    away.rename(rig.volumes[0].path)
    wait_days(rig, 29)
    second = run(scrubber(rig))

    assert (first.done_count, second.done_count) == (3, 3)
    assert first.deferred_count == 1
    assert all(each.ended_at_us is not None for each in passes(rig))
    assert all(state_of(rig, f"key-{n}") == [LocationState.LIVE] * 2 for n in range(3))
