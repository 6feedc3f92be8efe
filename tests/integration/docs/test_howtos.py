"""The how-to guides about several stores, followed to the letter with stores of this machine, do what they promise."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.docs.pages import ROOT, Reader, type_in
from tests.support.s3_stores import BUCKET, PenstockStore, RcloneStore, wait_until_it_listens
from tests.support.served import Served

CAT = bytes(range(256)) * 2000
WAIT_S = 240.0
IS_LONG = os.environ.get("PENSTOCK_HOWTOS") == "long"
"""With the wait until a store is taken for lost, its copies are made anew, and are too many once it is back."""

MORE = "debug: {allowed: true}\nworkers: {cleanup: {interval: 1s}}\n"

COMMANDS = {
    "check-and-heal.md": ["See how it is"],
    "let-clients-in.md": [
        "An application",
        "Somebody who looks after the deployment",
        "One object for somebody without a key",
    ],
    "long-work-and-workers.md": ["Workers"],
    "use-adminctl.md": ["Let clients read only"],
}
"""Sections of pages that need nothing but a deployment with an object."""


class Stand:
    """A deployment with one disk, and stores that stand for those of providers."""

    def __init__(self, folder: Path, page: str) -> None:
        self.folder = folder
        self.page = ROOT / "docs/howto" / page
        self.own = {"/etc/penstock": str(folder), "bucket: pieces": f"bucket: {BUCKET}"}
        self._stack = ExitStack()
        (folder / "cat.jpg").write_bytes(CAT)
        self.served = Served(folder, volumes=1, edit_config=_quick)

    def __enter__(self) -> "Stand":
        self.served.__enter__()
        wait_until_it_listens(int(self.served.credentials.control_address.rpartition(":")[2]))
        return self

    def __exit__(self, *_: object) -> None:
        with self._stack:
            self.served.__exit__(None, None, None)

    def store(
        self, name: str, store: RcloneStore | PenstockStore, *, endpoint: str, access_key_id: str
    ) -> RcloneStore | PenstockStore:
        """Has the page's address and key mean this store."""
        self._stack.enter_context(store)
        place = store.place
        self.own |= {endpoint: place.endpoint, access_key_id: str(place.access_key_id)}
        secret = self.folder / f"{name}.secret"
        secret.touch(0o600)
        secret.write_text(f"{place.secret_access_key}\n")
        return store

    @property
    def reader(self) -> Reader:
        known = self.served.credentials
        return Reader(
            page=self.page,
            folder=self.folder,
            config=self.served.config,
            environ={
                "AWS_ENDPOINT_URL": known.endpoint,
                "AWS_DEFAULT_REGION": known.region,
                "AWS_ACCESS_KEY_ID": known.access_key_id,
                "AWS_SECRET_ACCESS_KEY": known.secret_access_key,
                "PENSTOCK_ENDPOINT": known.control_address,
                "PENSTOCK_TOKEN": known.admin_token,
            },
            own=self.own,
        )

    def put_cat(self, bucket: str = "photos") -> None:
        s3 = self.served.client()
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="cat.jpg", Body=CAT)

    def cat(self, bucket: str = "photos", key: str = "cat.jpg") -> bytes:
        body: bytes = self.served.client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def lies_on(self, bucket: str = "photos", key: str = "cat.jpg") -> set[str]:
        """Backends of an object's pieces, once adminctl has said which."""
        said = type_in(
            self.folder, f"adminctl object locations {bucket} {key} --no-headers", environ=self.reader.environ
        )
        return {word.removeprefix("backends/") for word in said.split() if word.startswith("backends/")}

    def wait_for_copies(self, count: int) -> None:
        began_s = time.monotonic()
        while len(self.lies_on()) != count:
            assert time.monotonic() - began_s < WAIT_S, self.lies_on()
            time.sleep(1)


def _quick(text: str) -> str:
    return text.replace("\nstorage:\n", "\nstorage:\n  read_grace: 1s\n  heal_after: 3s\n") + MORE


@pytest.fixture
def moved(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path, "local-to-cloud.md") as stand:
        stand.store(
            "cloud",
            RcloneStore(tmp_path / "rclone"),
            endpoint="https://s3.example.org",
            access_key_id="AKCLOUD",
        )
        yield stand


@pytest.mark.timeout(180)
def test_a_disk_is_given_up_for_the_cloud(moved: Stand) -> None:
    moved.put_cat()
    reader = moved.reader

    reader.follow("Add the store")
    assert moved.lies_on() == {"v1"}
    reader.follow("Move everything there")
    assert moved.lies_on() == {"cloud"}
    reader.follow("Give up the disk")

    assert moved.cat() == CAT


@pytest.mark.timeout(180)
def test_disk_and_cloud_are_used_together(moved: Stand) -> None:
    moved.put_cat()
    reader = moved.reader

    reader.follow("Add the store")
    reader.follow("Let it take what does not fit")
    said = reader.follow("Keep a copy there of all that is new")

    assert moved.lies_on() == {"v1"}
    assert {"backends/v1", "backends/cloud"} <= set(said.split())
    assert moved.cat("photos-twice") == CAT


@pytest.mark.timeout(600)
def test_three_providers_of_which_one_fails(tmp_path: Path) -> None:
    with Stand(tmp_path, "multi-cloud-redundancy.md") as stand:
        stores = {}
        for name in ("north", "south", "east"):
            folder = tmp_path / f"store-{name}"
            stores[name] = PenstockStore(folder) if name == "east" else RcloneStore(folder)
            stand.store(
                name, stores[name], endpoint=f"https://s3.{name}.example", access_key_id=f"AK{name.upper()}"
            )
        reader = stand.reader

        reader.take_out("v1")
        reader.follow("Name the stores")
        reader.follow("See where an object lies")
        first = stand.lies_on()
        lost = sorted(first & {"north", "south"})[0]
        left = set(stores) - {lost}
        gone = stores[lost]
        assert isinstance(gone, RcloneStore)
        gone.kill()
        reader.follow("Practise an outage")
        if IS_LONG:
            stand.wait_for_copies(3)
        gone.start()
        reader.follow("When it comes back")

        assert len(first) == 2
        assert (tmp_path / "copy.jpg").read_bytes() == CAT
        assert stand.lies_on(key="meanwhile.jpg") == left
        assert stand.cat() == stand.cat(key="meanwhile.jpg") == CAT
        if IS_LONG:
            stand.wait_for_copies(2)


@pytest.mark.timeout(180)
def test_a_free_tier_is_used_first(tmp_path: Path) -> None:
    with Stand(tmp_path, "stay-within-a-free-tier.md") as stand:
        store = stand.store(
            "cloud",
            RcloneStore(tmp_path / "rclone"),
            endpoint="https://s3.example.org",
            access_key_id="AKCLOUD",
        )
        stand.own["path: volumes/disk"] = f"path: {tmp_path}/disk"
        stand.own["    # endpoint, bucket and keys as in the reference"] = (
            f"    endpoint: {store.place.endpoint}\n    bucket: {BUCKET}\n"
            f'    access_key_id: {store.place.access_key_id}\n    secret_access_key: "${{file:cloud.secret}}"'
        )
        reader = stand.reader

        reader.take_out("v1")
        reader.follow("Say what may be used")
        stand.put_cat()
        said = reader.follow("See what was used")

    assert "backends/cloud" in said
    assert "backends/disk" in said


@pytest.mark.timeout(180)
def test_commands_of_other_pages_work_as_written(tmp_path: Path) -> None:
    with Stand(tmp_path, "check-and-heal.md") as stand:
        stand.put_cat()
        stand.own["BUCKET KEY"] = "photos cat.jpg"
        for page, sections in COMMANDS.items():
            reader = replace(stand.reader, page=ROOT / "docs/howto" / page)
            for section in sections:
                assert reader.follow(section)
