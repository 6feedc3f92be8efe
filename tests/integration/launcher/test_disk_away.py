"""A disk that goes away while a deployment serves costs availability, never an object; nothing has to be repaired."""

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.served import Served


def test_what_lies_on_a_disk_that_went_away_is_served_again_once_it_is_back(tmp_path: Path) -> None:
    served = Served(tmp_path, volumes=1)
    disk, away = served.data / "volumes/v1", tmp_path / "away"
    with served:
        served.client().create_bucket(Bucket="kept")
        served.client().put_object(Bucket="kept", Key="k", Body=b"v" * 100_000)
    # Started anew, so that no file of the volume is open before it is gone.
    with served:
        disk.rename(away)

        with pytest.raises(ClientError) as failure:
            served.client().get_object(Bucket="kept", Key="k")

        assert failure.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert "backends" in failure.value.response["Error"]["Message"]
    away.rename(disk)
    with served:
        assert served.client().get_object(Bucket="kept", Key="k")["Body"].read() == b"v" * 100_000
    assert served.fsck()["is_clean"]
