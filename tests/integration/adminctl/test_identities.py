"""`adminctl account`, `identity`, `accesskey` and `token` as an operator runs them."""

import re

from tests.integration.adminctl.running import ControlProcess, adminctl


def test_an_identity_gets_a_key_that_is_rotated_and_goes(control: ControlProcess) -> None:
    account = control.run("account", "create", "team")
    made = control.run(
        "identity", "create", "backup", "--account", "team", "--role", "writer", "--bucket", "photos"
    )
    first = control.run("accesskey", "create", "backup", "--expires", "30d")
    second = control.json("accesskey", "create", "backup")
    key_id, secret = (line.split()[-1] for line in first.stdout.splitlines()[:2])
    off = control.run("accesskey", "disable", key_id)
    on = control.run("accesskey", "enable", key_id)
    ending = control.run("accesskey", "expire", key_id, "2099-12-31")
    endless = control.run("accesskey", "expire", key_id, "--never")
    listed = control.run("accesskey", "list", "--identity", "backup")
    deleted = control.run("accesskey", "delete", key_id, "--yes")
    gone = control.run("identity", "delete", "backup", "--yes")

    assert (account.returncode, made.returncode) == (0, 0)
    assert "photos" in made.stdout
    assert re.fullmatch(r"[A-Za-z0-9]{40}", secret)
    assert "this one time" in first.stderr
    assert len(second["secret_access_key"]) == 40
    assert ("disabled       yes" in off.stdout, "disabled       no" in on.stdout) == (True, True)
    assert ("2099-12-31T00:00:00Z" in ending.stdout, "never" in endless.stdout) == (True, True)
    assert key_id in listed.stdout
    assert secret not in listed.stdout
    assert deleted.stdout == f"accessKeys/{key_id}: deleted\n"
    assert gone.stdout == "identities/backup: deleted, with 1 access keys\n"


def test_an_identity_is_changed(control: ControlProcess) -> None:
    control.run("identity", "create", "reader", "--account", "main", "--role", "reader")

    changed = control.json(
        "identity", "update", "reader", "--role", "superuser", "--disable", "--expires", "2099-01-01"
    )["identity"]
    back = control.run("identity", "update", "reader", "--enable", "--no-expiry", "--all-buckets")
    listed = control.run("identity", "list")
    shown = control.run("identity", "get", "reader")
    control.run("identity", "delete", "reader", "--yes")

    assert (changed["role"], changed["disabled"]) == ("IDENTITY_ROLE_SUPERUSER", True)
    assert changed["expire_time"] == "2099-01-01T00:00:00Z"
    assert shown.stdout == back.stdout
    assert "reader" in listed.stdout


def test_a_token_is_made_used_and_deleted(control: ControlProcess) -> None:
    made = control.run("token", "create", "ci", "--role", "viewer", "--scope", "BackendService/*")
    bearer = next(line.split()[-1] for line in made.stdout.splitlines() if line.startswith("token"))
    environ = {"PENSTOCK_ENDPOINT": control.address, "PENSTOCK_TOKEN": bearer}

    used = adminctl("backend", "list", environ=environ)
    held_back = adminctl("bucket", "list", environ=environ)
    here = control.run("whoami")
    changed = control.run("token", "update", "ci", "--disable", "--all-scopes")
    refused = adminctl("backend", "list", environ=environ)
    listed = control.run("token", "list")
    gone = control.run("token", "delete", "ci", "--yes")

    assert (used.returncode, held_back.returncode) == (0, 5)
    assert [line.split()[0] for line in here.stdout.splitlines()] == ["caller", "role", "scopes"]
    assert "this one time" in made.stderr
    assert "disabled              yes" in changed.stdout
    assert refused.returncode == 5
    assert bearer not in listed.stdout
    assert gone.stdout == "adminTokens/ci: deleted\n"


def test_what_is_asked_for_wrongly_ends_with_2(control: ControlProcess) -> None:
    for arguments in (
        ("identity", "create", "x", "--account", "main"),
        ("identity", "update", "x"),
        ("identity", "update", "x", "--bucket", "photos", "--all-buckets"),
        ("identity", "create", "x", "--account", "main", "--role", "reader", "--expires", "soon"),
        ("accesskey", "expire", "KEY"),
        ("accesskey", "expire", "KEY", "30d", "--never"),
        ("token", "update", "x"),
        ("token", "delete", "first"),
        ("accesskey", "delete", "KEY"),
        ("token", "create", "x", "--role", "king"),
        ("token", "create", "x", "--role", "viewer", "--scope", "no scope"),
    ):
        assert control.run(*arguments).returncode == 2, arguments


def test_those_of_the_configuration_stay(control: ControlProcess) -> None:
    name = control.json("identity", "list")["identities"][0]["name"]

    refused = control.run("identity", "delete", name)

    assert (refused.returncode, "OWNED_BY_CONFIG" in refused.stderr) == (8, True)
