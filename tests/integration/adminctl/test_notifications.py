"""`adminctl notification` as an operator runs it."""

import json
import time

import apsw

from engine.clock import uuid7
from engine.notifications.messages import message_of_test
from tests.integration.adminctl.running import ControlProcess


def bury(control: ControlProcess, count: int) -> None:
    connection = apsw.Connection(str(control.folder / "data" / "metadata.sqlite"))
    connection.set_busy_timeout(10_000)
    try:
        for _ in range(count):
            connection.execute(
                "INSERT INTO notification_dlq (event_id, type, payload, target, attempts, last_error, died_at_us)"
                " VALUES (?, 's3:TestEvent', ?, 'hook', 30, 'nobody is there', ?)",
                (uuid7(), message_of_test("photos", 1), time.time_ns() // 1000),
            )
    finally:
        connection.close()


def test_what_did_not_arrive_is_shown_tried_again_and_let_go(control: ControlProcess) -> None:
    nothing = control.run("notification", "undelivered")
    bury(control, 3)

    targets = control.run("notification", "list")
    listed = control.run("notification", "undelivered", "--target", "hook")
    told = control.json("notification", "undelivered")["events"]
    retried = control.run("notification", "retry", told[0]["name"])
    unasked = control.run("notification", "discard", "--all")
    trial = control.run("notification", "discard", "--all", "--dry-run")
    wrong = control.run("notification", "discard", "--target", "hook", "--count", "5", "--yes")
    gone = control.run("notification", "discard", "--all", "--yes")
    both = control.run("notification", "retry", "--all", "--target", "hook")

    assert (nothing.returncode, "(none)" in nothing.stderr) == (0, True)
    assert targets.stdout.splitlines()[1].split()[:4] == ["notificationTargets/hook", "-", "0", "3"]
    assert listed.stdout.count("nobody is there") == 3
    assert json.loads(told[0]["message"])["Bucket"] == "photos"
    assert retried.stdout == "1 are tried again, 0 are left\n"
    assert unasked.returncode == 2
    assert trial.stdout == "2 undelivered events could go\n"
    assert (wrong.returncode, "COUNT_MISMATCH" in wrong.stderr) == (8, True)
    assert gone.stdout == "2 undelivered events are gone\n"
    assert both.returncode == 2


def test_a_target_that_nobody_named_cannot_be_tried(control: ControlProcess) -> None:
    tried = control.run("notification", "test", "nowhere")

    assert (tried.returncode, "NO_SUCH_RESOURCE" in tried.stderr) == (4, True)
