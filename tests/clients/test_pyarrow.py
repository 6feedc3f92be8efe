"""pyarrow (the AWS SDK for C++): streams of parts, folders as empty markers, tables over many files."""

import os

import pyarrow as arrow
import pyarrow.dataset as datasets
import pyarrow.parquet as parquet
import pytest
from pyarrow.fs import FileSelector, FileType, S3FileSystem

from tests.clients.odd_keys import ODD_KEYS
from tests.support.served import Served

MIB = 1024**2


@pytest.fixture(scope="module")
def files(served: Served) -> S3FileSystem:
    each = S3FileSystem(
        access_key=served.credentials.access_key_id,
        secret_key=served.credentials.secret_access_key,
        region=served.credentials.region,
        endpoint_override=served.credentials.endpoint.removeprefix("http://"),
        scheme="http",
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
    )
    each.create_dir("pyarrow")
    return each


@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, 27 * MIB])
def test_streams_come_back(files: S3FileSystem, size_bytes: int) -> None:
    payload = os.urandom(size_bytes)

    with files.open_output_stream("pyarrow/stream", metadata={"Content-Type": "text/x-plain"}) as stream:
        stream.write(payload)

    with files.open_input_stream("pyarrow/stream") as back:
        assert back.read() == payload
        assert back.metadata()["Content-Type"] == b"text/x-plain"
    with files.open_input_file("pyarrow/stream") as back:
        middle = size_bytes // 2
        assert back.size() == size_bytes
        assert back.read_at(min(100, size_bytes - middle), middle) == payload[middle : middle + 100]


def test_folders_are_seen_with_and_without_markers(files: S3FileSystem) -> None:
    files.create_dir("pyarrow/made/empty")
    with files.open_output_stream("pyarrow/implied/by/file") as stream:
        stream.write(b".")

    asked = files.get_file_info(
        ["pyarrow/made/empty", "pyarrow/implied/by", "pyarrow/implied/by/file", "pyarrow/not there"]
    )
    inside = files.get_file_info(FileSelector("pyarrow/implied", recursive=True))

    kinds = [each.type for each in asked]
    assert kinds == [FileType.Directory, FileType.Directory, FileType.File, FileType.NotFound]
    assert sorted(each.path for each in inside) == ["pyarrow/implied/by", "pyarrow/implied/by/file"]
    files.delete_dir("pyarrow/implied")
    assert files.get_file_info("pyarrow/implied").type == FileType.NotFound


def test_odd_keys_copies_and_moves(files: S3FileSystem) -> None:
    # The name stands under a folder here, and would be too long there.
    keys = [key[:1000] for key in ODD_KEYS]
    for key in keys:
        with files.open_output_stream(f"pyarrow/odd/{key}") as stream:
            stream.write(key.encode())

    for key in keys:
        files.copy_file(f"pyarrow/odd/{key}", f"pyarrow/copied/{key}")
    files.move(f"pyarrow/copied/{keys[0]}", "pyarrow/copied/moved")

    listed = files.get_file_info(FileSelector("pyarrow/copied", recursive=True))
    names = {each.path.removeprefix("pyarrow/copied/") for each in listed if each.type == FileType.File}
    assert names == {"moved", *keys[1:]}
    with files.open_input_stream("pyarrow/copied/moved") as stream:
        assert stream.read() == keys[0].encode()
    files.delete_dir("pyarrow/odd")
    files.delete_dir("pyarrow/copied")


def test_a_table_of_many_files_is_scanned(files: S3FileSystem) -> None:
    table = arrow.table({"part": [index % 8 for index in range(4000)], "value": list(range(4000))})

    parquet.write_to_dataset(table, "pyarrow/table", partition_cols=["part"], filesystem=files)
    back = datasets.dataset("pyarrow/table", filesystem=files, partitioning="hive")

    assert back.count_rows() == 4000
    assert back.to_table(filter=datasets.field("part") == 3)["value"].to_pylist() == list(range(3, 4000, 8))


def test_a_bucket_goes_with_all_it_holds(files: S3FileSystem) -> None:
    files.create_dir("pyarrow-gone")
    with files.open_output_stream("pyarrow-gone/a/b") as stream:
        stream.write(b".")

    files.delete_dir("pyarrow-gone")

    assert files.get_file_info("pyarrow-gone").type == FileType.NotFound
