"""The parent of both planes: starts dead ones again, stops in order, gives up only when told, leaves nobody behind."""

import os
import signal
from pathlib import Path

import pytest

from launcher.supervisor import STABLE_S
from tests.integration.launcher.programs import (
    DYING,
    FORKING,
    LATE_TO_REFUSE,
    OBEDIENT,
    REFUSING,
    STUBBORN,
    Supervised,
    is_running,
    wait_until,
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_children_stop_in_the_opposite_order_of_their_start(tmp_path: Path, number: signal.Signals) -> None:
    with Supervised(tmp_path, data=OBEDIENT, control=OBEDIENT) as supervised:
        supervised.wait_for("data-started")
        supervised.wait_for("control-started")

        supervised.send(number)

        assert supervised.ended() == 0
        assert supervised.notes()[-2:] == ["control-stopped", "data-stopped"]


def test_a_killed_child_is_started_again_and_the_other_one_is_left_alone(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=OBEDIENT, control=OBEDIENT) as supervised:
        data = supervised.wait_for("data-started")
        control = supervised.wait_for("control-started")

        os.kill(control, signal.SIGKILL)

        assert supervised.wait_for("control-started", count=2) != control
        assert is_running(data)
        assert supervised.pids("data-started") == [data]
        assert "control was ended by SIGKILL" in supervised.said()


def test_a_child_that_keeps_dying_is_started_again_ever_more_slowly(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=DYING) as supervised:
        supervised.wait_for("data-started", count=4)

        said = supervised.said()

    assert [f"starting it again in {pause_s} s" in said for pause_s in (0.1, 0.2, 0.4)] == [True] * 3


def test_a_child_that_says_it_cannot_run_like_this_ends_everything(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=OBEDIENT, control=REFUSING) as supervised:
        assert supervised.ended() == 78
        assert len(supervised.pids("control-started")) == 1
        assert not any(map(is_running, supervised.pids("data-started")))


def test_a_child_that_has_run_for_a_while_and_cannot_now_leaves_the_other_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STABLE_S", str(STABLE_S))
    with Supervised(tmp_path, data=OBEDIENT, control=LATE_TO_REFUSE) as supervised:
        supervised.wait_for("control-started", count=3)

        (data,) = supervised.pids("data-started")
        assert is_running(data)
        supervised.send(signal.SIGTERM)
        assert supervised.ended() == 0


def test_a_child_that_does_not_stop_is_killed_after_its_deadline(tmp_path: Path) -> None:
    with Supervised(tmp_path, stop_timeout_s=0.3, data=OBEDIENT, control=STUBBORN) as supervised:
        stubborn = supervised.wait_for("control-started")
        supervised.wait_for("data-started")

        supervised.send(signal.SIGTERM)

        assert supervised.ended() == 1
        assert not is_running(stubborn)
        assert supervised.notes()[-2:] == ["control-asked", "data-stopped"]


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with Supervised(tmp_path, stop_timeout_s=1000, data=STUBBORN, control=STUBBORN) as supervised:
        children = [supervised.wait_for("data-started"), supervised.wait_for("control-started")]
        supervised.send(signal.SIGTERM)
        supervised.wait_for("control-asked")

        supervised.send(signal.SIGINT)

        assert supervised.ended() == 1
        assert not any(map(is_running, children))


def test_a_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=STUBBORN, control=STUBBORN) as supervised:
        children = [supervised.wait_for("data-started"), supervised.wait_for("control-started")]

        supervised.send(signal.SIGKILL)
        supervised.ended()

        wait_until(lambda: not any(map(is_running, children)), "the children to be gone")


def test_what_a_dead_child_had_forked_is_gone_before_it_is_started_again(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=FORKING) as supervised:
        first = supervised.wait_for("data-started")
        forked = supervised.wait_for("data-forked")

        os.kill(first, signal.SIGKILL)
        supervised.wait_for("data-started", count=2)

        assert not is_running(forked)


def test_a_stop_while_a_child_waits_for_its_restart_ends_at_once(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=DYING) as supervised:
        supervised.wait_for("data-started", count=5)

        supervised.send(signal.SIGTERM)

        assert supervised.ended() == 0


def test_a_hangup_changes_nothing(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=OBEDIENT) as supervised:
        child = supervised.wait_for("data-started")

        supervised.send(signal.SIGHUP)
        wait_until(lambda: "SIGHUP" in supervised.said(), "a word about SIGHUP")

        assert is_running(child)
        supervised.send(signal.SIGTERM)
        assert supervised.ended() == 0


def test_children_are_in_no_group_of_the_terminal(tmp_path: Path) -> None:
    with Supervised(tmp_path, data=OBEDIENT) as supervised:
        child = supervised.wait_for("data-started")

        assert os.getpgid(child) == child


def test_children_start_with_no_signal_blocked(tmp_path: Path) -> None:
    program = 'note("mask" + str(len(signal.pthread_sigmask(signal.SIG_BLOCK, ()))))\nsignal.pause()\n'
    with Supervised(tmp_path, data=program) as supervised:
        supervised.wait_for("mask0")
