"""`adminctl bucket` and `adminctl usage` as an operator runs them."""

import json

from tests.integration.adminctl.running import ControlProcess


def test_a_buckets_life(control: ControlProcess) -> None:
    made = control.run(
        "bucket", "create", "photos", "--account", "main", "--quota", "10MiB", "--versioning", "enabled"
    )
    listed = control.run("bucket", "list")
    told = control.json("bucket", "get", "photos")["bucket"]
    changed = control.run("bucket", "update", "photos", "--no-quota", "--scheme", "copies(1)")
    trial = control.run("bucket", "delete", "photos", "--dry-run")
    gone = control.run("bucket", "delete", "buckets/photos")
    missing = control.run("bucket", "get", "photos")

    assert (made.returncode, made.stderr) == (0, "")
    assert "quota                 10.0 MiB" in made.stdout
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["NAME", "buckets/photos"]
    assert (told["name"], told["quota_bytes"]) == ("buckets/photos", str(10 << 20))
    assert "quota                 none" in changed.stdout
    assert (trial.stdout, gone.stdout) == (
        "buckets/photos: could be deleted\n",
        "buckets/photos: deleted\n",
    )
    assert missing.returncode == 4


def test_what_is_asked_for_wrongly_ends_with_2(control: ControlProcess) -> None:
    for arguments in (
        ("bucket", "create", "photos"),
        ("bucket", "create", "photos", "--account", "main", "--quota", "many"),
        ("bucket", "update", "photos"),
        ("bucket", "update", "photos", "--quota", "1", "--no-quota"),
        ("usage", "set-quota", "photos"),
        ("usage", "set-quota", "photos", "1GiB", "--no-limit"),
    ):
        assert control.run(*arguments).returncode == 2, arguments


def test_usage_is_told_one_by_one_and_in_all(control: ControlProcess) -> None:
    control.run("bucket", "create", "films", "--account", "main")

    limited = control.run("usage", "set-quota", "films", "1GiB")
    summed = control.run("usage", "get")
    listed = control.run("usage", "list")
    told = json.loads(control.run("--output", "json", "usage", "list").stdout)
    refused = control.run("usage", "set-quota", "backends/v1", "1GiB")
    month = control.run("usage", "month")
    wide = control.run("--output", "wide", "usage", "list")

    assert "1.0 GiB" in limited.stdout
    assert [line.split()[:2] for line in summed.stdout.splitlines()[1:]] == [
        ["3", "backends"],
        ["1", "buckets"],
    ]
    assert "buckets/films" in listed.stdout
    assert (month.returncode, month.stdout.split()) == (
        0,
        ["BACKEND", "KIND", "USED", "LEASED", "LIMIT", "REACHED"],
    )
    assert "FULL" in wide.stdout
    assert [each["name"] for each in told["quotas"]] == [
        "backends/v1",
        "backends/v2",
        "backends/v3",
        "buckets/films",
    ]
    assert (refused.returncode, "OWNED_BY_CONFIG" in refused.stderr) == (8, True)
    control.run("bucket", "delete", "films")


def test_usage_is_told_day_by_day(control: ControlProcess) -> None:
    control.run("worker", "trigger", "usage", "--wait")

    shown = control.run("usage", "history", "v1", "--by", "hour", "--window", "6h")
    wide = control.run("--output", "wide", "usage", "history")

    assert [line.split()[1] for line in shown.stdout.splitlines()] == ["NAME", "backends/v1"]
    assert [line.split()[1] for line in wide.stdout.splitlines()[1:]] == [
        f"backends/v{number}" for number in (1, 2, 3)
    ]
    assert control.run("usage", "history", "buckets/none").returncode == 4
    assert control.run("usage", "history", "buckets/none", "--by", "hour").returncode == 4


def test_what_was_asked_of_buckets_is_told_in_columns(control: ControlProcess) -> None:
    control.run("bucket", "create", "films", "--account", "main")

    listed = control.run("usage", "buckets", "--window", "7d")
    costs = control.run("usage", "cost")

    assert listed.stdout.split() == ["BUCKET", "WRITES", "READS", "DELETES", "IN", "OUT", "STORED"]
    assert (listed.returncode, listed.stderr) == (0, "(none)\n")
    assert [line.split() for line in costs.stdout.splitlines() if "films" in line] == [
        ["buckets/films", "0", "B", "0", "0", "0"]
    ]
    assert control.run("usage", "buckets", "--window", "-1d").returncode == 2
    control.run("bucket", "delete", "films")


def test_the_ring_and_what_it_seals_are_shown(control: ControlProcess) -> None:
    listed = control.run("key", "list")
    name = listed.stdout.splitlines()[1].split()[0]
    shown = control.run("key", "get", name)
    status = control.run("key", "status")

    assert name.startswith("keys/")
    assert "primary" in shown.stdout
    assert (status.returncode, "counted" in status.stderr) == (0, True)


def test_tags_and_cors_rules_are_set_shown_and_taken_away(control: ControlProcess) -> None:
    rules = control.folder / "cors.json"
    rule = {"AllowedOrigins": ["https://example.org"], "AllowedMethods": ["GET", "PUT"], "MaxAgeSeconds": 60}
    rules.write_text(json.dumps({"CORSRules": [rule]}))
    control.run("bucket", "create", "sheets", "--account", "main")

    tagged = control.run("bucket", "update", "sheets", "--tag", "team=blue", "--tag", "cost=42")
    opened = control.run("bucket", "update", "sheets", "--cors", str(rules))
    told = control.json("bucket", "get", "sheets")["bucket"]
    cleared = control.json("bucket", "update", "sheets", "--no-tags", "--no-cors")["bucket"]

    assert [line.split() for line in tagged.stdout.splitlines()[-2:]] == [
        ["tag", "cost", "42"],
        ["tag", "team", "blue"],
    ]
    assert opened.stdout.splitlines()[-1].split("  ")[-1].strip() == (
        "GET, PUT from https://example.org; for 60 s"
    )
    assert told["tags"] == {"team": "blue", "cost": "42"}
    assert told["cors_rules"][0]["max_age"] == "60s"
    assert (cleared["tags"], cleared["cors_rules"]) == ({}, [])
    control.run("bucket", "delete", "sheets")


def test_tags_and_rules_that_are_none_end_with_2(control: ControlProcess) -> None:
    rules = control.folder / "cors.json"
    for arguments in (("--tag", "team"), ("--tag", "a=1", "--tag", "a=2"), ("--tag", "a=1", "--no-tags")):
        assert control.run("bucket", "update", "photos", *arguments).returncode == 2, arguments
    for text in (
        "{}",
        "[]",
        "[1]",
        '[{"Origins": []}]',
        '[{"AllowedOrigins": "*", "AllowedMethods": ["GET"]}]',
    ):
        rules.write_text(text)
        done = control.run("bucket", "update", "photos", "--cors", str(rules))
        assert (done.returncode, "CORSRules" in done.stderr) == (2, True), text
