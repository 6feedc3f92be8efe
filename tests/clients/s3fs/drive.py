"""What fsspec's s3fs is asked to do; run by its own Python, ends with 0 when all of it held."""

import json
import os
import sys

import s3fs

MIB = 1024**2


def refused(kind: type[Exception], ask: object, *words: object, **options: object) -> None:
    """`ask` must raise that kind of error."""
    assert callable(ask)
    try:
        ask(*words, **options)
    except kind:
        return
    raise AssertionError(f"{ask} was not refused with {kind}")


def main(bucket: str, odd_keys: list[str]) -> None:
    files = s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], use_listings_cache=False)
    files.mkdir(bucket)

    small = os.urandom(10_000)
    files.pipe(f"{bucket}/small", small)
    assert files.cat(f"{bucket}/small") == small
    assert files.cat_file(f"{bucket}/small", start=-100) == small[-100:]
    assert files.info(f"{bucket}/small")["size"] == len(small)

    # Each write of five mebibytes goes as a part while the file is open.
    big = os.urandom(12 * MIB + 345)
    with files.open(f"{bucket}/folder/big", "wb", block_size=5 * MIB) as file:
        for start in range(0, len(big), MIB):
            file.write(big[start : start + MIB])
    with files.open(f"{bucket}/folder/big", "rb", block_size=MIB) as file:
        file.seek(7 * MIB - 3)
        assert file.read(11) == big[7 * MIB - 3 : 7 * MIB + 8]
        file.seek(0)
        assert file.read() == big

    # A file that is given up is never seen.
    given_up = files.open(f"{bucket}/given-up", "wb", block_size=5 * MIB, autocommit=False)
    given_up.write(big)
    given_up.discard()
    assert not files.exists(f"{bucket}/given-up")

    # Exclusive creation is a condition that the server decides.
    files.pipe_file(f"{bucket}/once", b"first", mode="create")
    refused(FileExistsError, files.pipe_file, f"{bucket}/once", b"second", mode="create")
    assert files.cat(f"{bucket}/once") == b"first"

    for key in odd_keys:
        files.pipe(f"{bucket}/odd/{key}", key.encode())
    found = {path.removeprefix(f"{bucket}/odd/") for path in files.find(f"{bucket}/odd")}
    assert found == set(odd_keys), found ^ set(odd_keys)
    assert all(files.cat(f"{bucket}/odd/{key}") == key.encode() for key in odd_keys)

    files.cp_file(f"{bucket}/folder/big", f"{bucket}/copied")
    files.mv(f"{bucket}/copied", f"{bucket}/moved")
    assert files.cat(f"{bucket}/moved") == big
    assert not files.exists(f"{bucket}/copied")
    assert files.isdir(f"{bucket}/folder")
    assert not files.isfile(f"{bucket}/folder")
    assert files.ls(f"{bucket}/folder") == [f"{bucket}/folder/big"]
    assert files.glob(f"{bucket}/fold*/b*g") == [f"{bucket}/folder/big"]
    refused(FileNotFoundError, files.cat, f"{bucket}/nothing")

    files.setxattr(f"{bucket}/small", colour="blue")
    assert files.getxattr(f"{bucket}/small", "colour") == "blue"

    files.rm(bucket, recursive=True)
    assert not files.exists(bucket)


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
