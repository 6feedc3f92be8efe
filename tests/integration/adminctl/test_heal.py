"""`adminctl heal`, and of `adminctl replication` what tells of objects, as an operator runs them."""

from tests.integration.adminctl.running import ControlProcess


def test_nothing_to_heal_is_said_so(control: ControlProcess) -> None:
    status = control.run("heal", "status")
    failures = control.run("heal", "failures")
    few = control.run("replication", "objects", "too-few")
    many = control.run("replication", "objects", "too-many")
    excess = control.run("replication", "clean", "--dry-run")
    cleaned = control.run("replication", "clean")

    assert (status.returncode, status.stdout.splitlines()[0].split()[-1]) == (0, "0")
    for each in (failures, few, many):
        assert (each.returncode, "(none)" in each.stderr) == (0, True)
    assert excess.stdout == "0 copies of 0 blobs would go, 0 B\n"
    assert (cleaned.returncode, "succeeded" in cleaned.stdout) == (0, True)


def test_a_prefix_of_a_bucket_is_healed(control: ControlProcess) -> None:
    control.run("bucket", "create", "photos", "--account", "main")

    plan = control.run("heal", "prefix", "photos", "in/", "--dry-run")
    healed = control.run("heal", "prefix", "photos", "in/")
    told = control.json("heal", "prefix", "photos", "--dry-run")
    missing = control.run("heal", "prefix", "nowhere")

    assert (plan.returncode, plan.stdout.splitlines()[0].split()) == (0, ["looked", "at", "0"])
    assert (healed.returncode, "succeeded" in healed.stdout) == (0, True)
    assert "plan" in told
    assert missing.returncode == 4


def test_a_breaker_is_reset(control: ControlProcess) -> None:
    reset = control.run("backend", "reset-breaker", "v1")
    missing = control.run("backend", "reset-breaker", "nowhere")

    assert (reset.returncode, "judged anew" in reset.stdout) == (0, True)
    assert missing.returncode == 4
