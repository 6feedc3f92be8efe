"""The cache of blobs as operators see it: none at first, then what it holds, then nothing."""

from engine.cache.blobs import BlobCache, CacheCounts
from engine.cache.folder import CacheFolder
from engine.clock import uuid7
from tests.integration.adminctl.running import ControlProcess
from tests.support.control import wait_until

SIZE_BYTES = 300_000


def keep(folder: CacheFolder) -> None:
    cache = BlobCache(folder, blob_bytes_max=SIZE_BYTES, counts=CacheCounts())
    blob_id = uuid7()
    cache.begin(blob_id, SIZE_BYTES)
    fill = cache.begin(blob_id, SIZE_BYTES)
    assert fill is not None
    fill.verified(0, memoryview(bytes(SIZE_BYTES)))


def test_there_is_none_until_the_configuration_names_one(control: ControlProcess) -> None:
    before = control.run("maintenance", "cache", "status")
    path = control.folder / "near"
    text = control.config.read_text()
    assert "\nstorage:\n" in text
    control.config.write_text(
        text.replace("\nstorage:\n", f"\nstorage:\n  cache: {{path: {path}, size_bytes: 16MiB}}\n")
    )
    reloaded = control.run("config", "reload")
    for _ in range(2):
        keep(CacheFolder(path, size_bytes_max=1 << 24))

    assert (before.returncode, reloaded.returncode) == (8, 0), (before.stderr, reloaded.stderr)
    assert "NO_CACHE" in before.stderr
    wait_until(lambda: control.run("maintenance", "cache", "status").returncode == 0, "it is there")
    held = control.json("maintenance", "cache", "status")
    assert (int(held["blob_count"]), int(held["size_bytes"])) == (2, 2 * SIZE_BYTES)
    assert "oldest_use_time" in held
    shown = control.run("maintenance", "cache", "status").stdout
    flushed = control.run("maintenance", "cache", "flush")
    assert shown == "2 blobs, 585.9 KiB of 16.0 MiB\n"
    assert flushed.stdout == "585.9 KiB removed\n"
    assert control.run("maintenance", "cache", "status").stdout == "0 blobs, 0 B of 16.0 MiB\n"
