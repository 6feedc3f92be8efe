"""boto3 over the AWS Common Runtime: parallel parts with checksums behind them, parallel ranged reads."""

import filecmp
import io
import os
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import ClientError
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

from tests.clients.conftest import IS_LONG
from tests.support.control import wait_until
from tests.support.served import Served

MIB = 1024**2
FILE_BYTES = (1024 if IS_LONG else 44) * MIB + 321
BUCKET = "common-runtime"


@pytest.fixture(scope="module")
def transfers(served: Served) -> Iterator[CRTTransferManager]:
    """What boto3 uses when its transfers are told to prefer the common runtime."""
    session = botocore.session.Session()
    session.set_credentials(served.credentials.access_key_id, served.credentials.secret_access_key)
    served.client().create_bucket(Bucket=BUCKET)
    options = {"endpoint_url": served.credentials.endpoint, "region_name": served.credentials.region}
    client = create_s3_crt_client(
        region=served.credentials.region,
        crt_credentials_provider=BotocoreCRTCredentialsWrapper(
            session.get_credentials()
        ).to_crt_credentials_provider(),
        part_size=8 * MIB,
        use_ssl=False,
    )
    with CRTTransferManager(client, BotocoreCRTRequestSerializer(session, options)) as manager:
        yield manager


def test_a_file_of_parts_comes_back_byte_equal(
    tmp_path: Path, served: Served, transfers: CRTTransferManager
) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    with there.open("wb") as file:
        for _ in range(FILE_BYTES // MIB):
            file.write(os.urandom(MIB))
        file.write(os.urandom(FILE_BYTES % MIB))

    transfers.upload(str(there), BUCKET, "folder/big +%ü").result()
    transfers.download(BUCKET, "folder/big +%ü", str(back)).result()

    # The runtime settles the future before it calls back, and only then the file gets its name.
    wait_until(back.exists, "the download has its name")
    assert filecmp.cmp(there, back, shallow=False)
    kept = served.client().head_object(Bucket=BUCKET, Key="folder/big +%ü", ChecksumMode="ENABLED")
    assert kept["ETag"].endswith(f'-{-(-FILE_BYTES // (8 * MIB))}"')
    assert kept["ChecksumType"] in ("FULL_OBJECT", "COMPOSITE")


@pytest.mark.parametrize("size_bytes", [0, 1, 100_000, 8 * MIB])
def test_streams_come_back(transfers: CRTTransferManager, size_bytes: int) -> None:
    payload, back = os.urandom(size_bytes), io.BytesIO()

    transfers.upload(io.BytesIO(payload), BUCKET, "stream").result()
    transfers.download(BUCKET, "stream", back).result()

    assert back.getvalue() == payload


@pytest.mark.parametrize("algorithm", ["CRC32C", "CRC64NVME", "SHA256"])
def test_a_checksum_asked_for_is_kept_over_parts(
    tmp_path: Path, served: Served, transfers: CRTTransferManager, algorithm: str
) -> None:
    there = tmp_path / "there"
    there.write_bytes(os.urandom(17 * MIB))

    transfers.upload(
        str(there), BUCKET, "summed", extra_args={"ChecksumAlgorithm": algorithm, "Metadata": {"m": "1"}}
    ).result()

    kept = served.client().head_object(Bucket=BUCKET, Key="summed", ChecksumMode="ENABLED")
    assert kept[f"Checksum{algorithm}"]
    assert kept["Metadata"] == {"m": "1"}


def test_deletes_and_failures_are_told(transfers: CRTTransferManager) -> None:
    transfers.upload(io.BytesIO(b"."), BUCKET, "deleted").result()
    transfers.delete(BUCKET, "deleted").result()

    with pytest.raises(ClientError) as error:
        transfers.download(BUCKET, "deleted", io.BytesIO()).result()

    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
