"""The page of metrics shows what waits for workers beside what is served, while there is a control plane."""

import os
import signal
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.control import wait_until
from tests.support.served import Served


def samples(served: Served) -> dict[tuple[str, str], float]:
    with urllib.request.urlopen(served.credentials.metrics_url, timeout=10) as answer:
        text = answer.read().decode()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_waits_for_workers_stands_beside_what_is_served(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        s3 = served.client()
        s3.create_bucket(Bucket="counted")
        s3.put_object(Bucket="counted", Key="k", Body=b"first")
        s3.put_object(Bucket="counted", Key="k", Body=b"second")

        # Reaped at once, and then kept for an hour.
        wait_until(lambda: samples(served).get(("penstock_worker_backlog", "cleanup")) == 1.0, "the figures")
        shown = samples(served)

    assert shown["penstock_requests_total", "PutObject,200"] == 2.0
    assert shown["penstock_worker_last_success_timestamp_seconds", "reaper"] > 0
    assert shown["penstock_worker_consecutive_failures", "reaper"] == 0.0
    assert shown["penstock_operations_open", "DrainBackend"] == 0.0
    assert shown["penstock_dead_letters", ""] == 0.0


def test_the_page_is_whole_while_the_control_plane_hangs(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.client().create_bucket(Bucket="counted")
        wait_until(lambda: ("penstock_dead_letters", "") in samples(served), "the figures")
        (control,) = [pid for pid, command in served.processes().items() if "-m controlplane" in command]
        os.kill(control, signal.SIGSTOP)
        try:
            shown = samples(served)
        finally:
            os.kill(control, signal.SIGCONT)

    assert ("penstock_requests_total", "CreateBucket,200") in shown
