"""`adminctl cleanup` and `adminctl deadletter` as an operator runs them."""

import apsw

from tests.integration.adminctl.running import ControlProcess


def bury(control: ControlProcess, *storage_keys: str) -> None:
    connection = apsw.Connection(str(control.folder / "data" / "metadata.sqlite"))
    connection.set_busy_timeout(10_000)
    try:
        for storage_key in storage_keys:
            connection.execute(
                "INSERT INTO cleanup_dlq (cleanup_id, backend_id, storage_key, reason, size_bytes, attempts,"
                " last_error, died_at_us) SELECT COALESCE(MAX(cleanup_id), 0) + 1, 1, ?, 'reaped', 0, 10,"
                " 'the disk is gone', 1 FROM cleanup_dlq",
                (storage_key,),
            )
    finally:
        connection.close()


def test_what_waits_is_shown_and_run(control: ControlProcess) -> None:
    status = control.run("cleanup", "status")
    listed = control.run("cleanup", "list", "--due")
    done = control.run("cleanup", "run")
    unasked = control.run("cleanup", "run", "--now")
    now = control.run("cleanup", "run", "--now", "--yes")
    uploads = control.run("cleanup", "abort-uploads", "--older-than", "7d", "--yes")

    assert "waiting" in status.stdout
    assert (listed.returncode, "(none)" in listed.stderr) == (0, True)
    assert (done.returncode, "succeeded" in done.stdout) == (0, True)
    assert (unasked.returncode, "--yes" in unasked.stderr) == (2, True)
    assert now.returncode == 0
    assert "warning: the read grace was overridden" in now.stderr
    assert uploads.returncode == 0


def test_dead_letters_are_tried_again_and_let_go(control: ControlProcess) -> None:
    bury(control, "a" * 8, "b" * 8, "c" * 8)

    listed = control.run("deadletter", "list")
    name = listed.stdout.splitlines()[1].split()[0]
    retried = control.run("deadletter", "retry", name)
    unasked = control.run("deadletter", "discard", "--all")
    wrong = control.run("deadletter", "discard", "--all", "--count", "5", "--yes")
    trial = control.run("deadletter", "discard", "--all", "--dry-run")
    gone = control.run("deadletter", "discard", "--all", "--yes")
    nothing = control.run("deadletter", "discard", "--yes")

    assert "the disk is gone" in listed.stdout
    assert retried.stdout == "1 are tried again, 0 are left\n"
    assert unasked.returncode == 2
    assert (wrong.returncode, "COUNT_MISMATCH" in wrong.stderr) == (8, True)
    assert trial.stdout == "2 dead letters could go, 0 B\n"
    assert gone.stdout == "2 dead letters are gone, 0 B\n"
    assert nothing.returncode == 2
