"""A directory is used only while its identity object says that it is ours."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from engine.backends.volume.files import device_id
from engine.backends.volume.identity import IDENTITY_NAME, check_identity, init_identity
from engine.errors import BackendUnavailable, ForeignBackend
from tests.support.volumes import identity_of

IDENTITY = identity_of()


def test_registering_makes_the_directory_and_says_whose_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "disks" / "near"

    init_identity(directory, IDENTITY, created_at_us=1_700_000_000_000_000)

    stored = json.loads((directory / IDENTITY_NAME).read_text())
    assert stored == {
        "format": 1,
        "deployment_id": IDENTITY.deployment_id.hex(),
        "backend_id": IDENTITY.identity_id.hex(),
        "node": "node-1",
        "created": "2023-11-14T22:13:20+00:00",
    }
    assert [path.name for path in directory.iterdir()] == [IDENTITY_NAME]


def test_registering_again_changes_nothing(tmp_path: Path) -> None:
    init_identity(tmp_path, IDENTITY, created_at_us=1)
    before = (tmp_path / IDENTITY_NAME).read_bytes()

    init_identity(tmp_path, IDENTITY, created_at_us=2)

    assert (tmp_path / IDENTITY_NAME).read_bytes() == before


def test_many_may_register_at_once(tmp_path: Path) -> None:
    def register(directory: Path) -> None:
        together.wait()
        init_identity(directory, IDENTITY, created_at_us=1)
        (directory / f"{threading.get_ident():032x}.volume").touch()

    count = 8
    together = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        for number in range(30):
            directory = tmp_path / str(number)

            for registered in [pool.submit(register, directory) for _ in range(count)]:
                registered.result()

            check_identity(directory, IDENTITY)


def test_a_fresh_file_system_may_be_registered(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()

    init_identity(tmp_path, IDENTITY, created_at_us=1)

    check_identity(tmp_path, IDENTITY)


def test_somebodys_directory_is_never_registered(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("all there is")

    with pytest.raises(ForeignBackend):
        init_identity(tmp_path, IDENTITY, created_at_us=1)

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


@pytest.mark.parametrize(
    "other",
    [
        replace(IDENTITY, deployment_id=b"another deployme"),
        replace(IDENTITY, identity_id=b"another backend!"),
        replace(IDENTITY, node="node-2"),
        replace(IDENTITY, node=None),
    ],
    ids=["deployment", "backend", "node", "no node"],
)
def test_anothers_identity_is_refused_and_kept(tmp_path: Path, other: object) -> None:
    init_identity(tmp_path, other, created_at_us=1)  # type: ignore[arg-type]
    before = (tmp_path / IDENTITY_NAME).read_bytes()

    with pytest.raises(ForeignBackend):
        check_identity(tmp_path, IDENTITY)
    with pytest.raises(ForeignBackend):
        init_identity(tmp_path, IDENTITY, created_at_us=1)

    assert (tmp_path / IDENTITY_NAME).read_bytes() == before


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}", b"[" * 4000])
def test_a_damaged_identity_is_foreign(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / IDENTITY_NAME).write_bytes(raw)

    with pytest.raises(ForeignBackend):
        check_identity(tmp_path, IDENTITY)


def test_a_missing_directory_or_identity_is_foreign_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(ForeignBackend):
        check_identity(tmp_path, IDENTITY)
    with pytest.raises(ForeignBackend):
        check_identity(tmp_path / "unmounted", IDENTITY)

    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_a_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(BackendUnavailable):
        init_identity(tmp_path / "file" / "below", IDENTITY, created_at_us=1)


def test_directories_of_one_disk_have_one_device(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    assert device_id(tmp_path / "a") == device_id(tmp_path / "b")
    assert device_id(tmp_path) != device_id(Path("/proc"))
