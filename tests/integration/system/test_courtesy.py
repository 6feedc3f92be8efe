"""What a real data plane is asked reaches background work of its node as rest, and its silence as none."""

from pathlib import Path
from typing import Any

from controlplane.operations.courtesy import Courtesy
from controlplane.overview.sampling import METRICS_FOLDER, Sampler
from engine.clock import SystemClock, uuid7
from engine.settings.running import AdmissionSettings
from tests.support.control import wait_until
from tests.support.served import Served


class NoStore:
    """Takes no samples: what is told to background work does not wait for the database."""

    def write(self, unit: Any, /, **options: Any) -> None: ...


def test_clients_that_ask_make_background_work_rest_until_they_have_gone(tmp_path: Path) -> None:
    courtesy = Courtesy()
    with Served(tmp_path, volumes=1) as served:
        (folder,) = served.data.rglob(METRICS_FOLDER)
        sampler = Sampler(
            NoStore(),  # type: ignore[arg-type]
            folder,
            SystemClock(),
            instance_id=uuid7(),
            node="near",
            courtesy=courtesy,
            limits=AdmissionSettings,
        )
        s3 = served.client()
        s3.create_bucket(Bucket="photos")
        sampler.sample()
        for number in range(100):
            s3.put_object(Bucket="photos", Key=f"{number}", Body=b"x" * 4096)
        sampler.sample()
        beside_s = courtesy.rest_s(1.0)

        def is_resting_no_more() -> bool:
            sampler.sample()
            return courtesy.rest_s(1.0) < 0.01

        # What was counted after its answer had gone falls into the first sample.
        wait_until(is_resting_no_more, "silence")

    assert 0.01 < beside_s < 2.5
