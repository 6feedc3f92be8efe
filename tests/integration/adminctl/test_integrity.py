"""The nouns that look after bytes: what they print, ask and end with."""

from pathlib import Path

import pytest

from engine.deployment.opening import open_deployment
from tests.integration.adminctl.running import ControlProcess
from tests.support.control import put_object
from tests.support.pieces import payload_of


def store(control: ControlProcess, key: str = "key") -> None:
    opened = open_deployment(control.config, {}, plane="dataplane", version="1")
    try:
        put_object(opened, "photos", key, payload_of(50_000))
    finally:
        opened.close()


def flip(control: ControlProcess) -> None:
    """In the one piece there is of the key."""
    (piece,) = control.json("object", "locations", "photos", "key")["pieces"]
    volume_id, _, offset = piece["storage_key"].partition(":")
    (path,) = (control.folder / "data").glob(f"volumes/*/{volume_id}.volume")
    raw = bytearray(path.read_bytes())
    raw[int(offset, 16) + 64 + 5000] ^= 1
    path.write_bytes(raw)


def stranger(control: ControlProcess) -> Path:
    path = control.folder / "data" / "volumes" / "v1" / "holiday.jpg"
    path.write_bytes(b"somebody's")
    return path


def test_a_sound_deployment_is_told_so(control: ControlProcess) -> None:
    store(control)

    fsck = control.run("maintenance", "fsck")
    scrub = control.run("scrub", "run")
    verified = control.run("scrub", "verify", "photos", "key")
    status = control.run("scrub", "status")
    compared = control.run("reconcile", "start")
    recounted = control.run("maintenance", "recount")
    compacted = control.run("maintenance", "compact", "--all", "--dry-run")

    done = (fsck, scrub, verified, status, compared, recounted, compacted)
    assert [each.returncode for each in done] == [0] * 7, [each.stderr for each in done]
    assert "clean" in fsck.stdout.splitlines()
    assert ["healed", "0"] in [line.split() for line in scrub.stdout.splitlines()]
    assert "0 of 1 copies are bad" in verified.stdout
    assert "30 days" in status.stdout
    assert "corrected  0" in recounted.stdout


def test_what_is_wrong_is_listed_and_ends_with_3(control: ControlProcess) -> None:
    store(control)
    flip(control)
    path = stranger(control)

    fsck = control.run("maintenance", "fsck")
    verified = control.run("scrub", "verify", "photos", "key")
    compared = control.run("reconcile", "start", "--direction", "both")
    listed = control.run("reconcile", "list")
    foreign = control.json("reconcile", "list", "--kind", "foreign")
    settled = control.run("reconcile", "resolve", "--repair", "both", "--yes")
    corrupt = control.run("scrub", "corrupt")
    status = control.run("reconcile", "status")

    assert (fsck.returncode, verified.returncode) == (3, 3)
    assert "findings" in fsck.stdout
    assert "does not verify" in verified.stdout
    assert compared.returncode == 0
    assert "checksum" in compared.stdout
    assert listed.stdout.splitlines()[0].split() == ["KIND", "BACKEND", "SUBJECT", "SIZE", "DETAIL", "DONE"]
    assert "holiday.jpg" in listed.stdout
    assert [each["subject"] for each in foreign["discrepancies"]] == ["holiday.jpg"]
    assert settled.returncode == 0, settled.stderr
    assert "marked suspect" in control.run("reconcile", "list", "--all").stdout
    assert "suspect" in corrupt.stdout
    assert "foreign" in status.stdout
    assert path.read_bytes() == b"somebody's"


@pytest.mark.parametrize(
    "arguments",
    [
        ("reconcile", "start", "--repair", "both"),
        ("reconcile", "resolve", "--repair", "metadata"),
        ("reconcile", "resolve"),
        ("maintenance", "compact"),
        ("maintenance", "compact", "v1", "--all"),
        ("scrub", "run", "--prefix", "a"),
        ("scrub", "run", "--sample", "2"),
    ],
)
def test_what_cannot_be_meant_or_was_not_confirmed_ends_with_2(
    control: ControlProcess, arguments: tuple[str, ...]
) -> None:
    done = control.run(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""


def test_what_is_not_there_ends_with_4(control: ControlProcess) -> None:
    assert control.run("scrub", "run", "--backend", "none").returncode == 4
    assert control.run("scrub", "verify", "none", "key").returncode == 4
    assert control.run("reconcile", "start", "none").returncode == 4
    assert control.run("maintenance", "compact", "none").returncode == 4


def test_a_detached_run_is_named(control: ControlProcess) -> None:
    done = control.run("reconcile", "start", "--detach")

    assert done.returncode == 0
    assert done.stdout.startswith("operations/")
