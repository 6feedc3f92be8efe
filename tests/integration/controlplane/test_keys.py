"""KeyService: the ring without its material, and how much it seals, counted on from call to call."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import grpc
import pytest
from penstock.admin.v1 import bucket_pb2, bucket_service_pb2, key_pb2, key_service_pb2

from controlplane.sealing_survey import REMEMBER_S, SealingSurvey
from engine.clock import SystemClock
from engine.metadata.store import Tx
from tests.integration.controlplane.clients import Client
from tests.support.control import RunningPlane, failure, put_object
from tests.support.interruptions import InterruptedStore

T = TypeVar("T")

pb = key_service_pb2


class MovedClock(SystemClock):
    """Monotonic time that passes only when a test lets it."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic_s(self) -> float:
        return self.passed_s


def put_plain_and_sealed(plane: RunningPlane, client: Client) -> None:
    put_object(plane.opened, "plain", "k", bytes(1000))
    wanted = bucket_pb2.Bucket(name="buckets/sealed", account="accounts/main", seal=bucket_pb2.SEALING_ALL)
    client("bucket", bucket_service_pb2.CreateBucketRequest(bucket=wanted))
    for key in ("a", "b"):
        put_object(plane.opened, "sealed", key, bytes(2000))


def test_the_ring_is_told_without_its_material(plane: RunningPlane, client: Client) -> None:
    (listed,) = client("key", pb.ListKeysRequest()).keys
    got = client("key", pb.GetKeyRequest(name=listed.name)).key

    assert got == listed
    assert listed.name == f"keys/{plane.opened.ring.primary.key_id.hex()}"
    assert (listed.state, listed.provider, listed.loaded) == (key_pb2.KEY_STATE_PRIMARY, "file", True)
    assert listed.create_time.seconds


def test_what_is_no_key_is_not_found_and_no_token_is_refused(client: Client) -> None:
    missing = failure(lambda: client("key", pb.GetKeyRequest(name="keys/00")))
    token = failure(lambda: client("key", pb.ListKeysRequest(page_token="eA==")))

    assert (missing.code, missing.reason) == (grpc.StatusCode.NOT_FOUND, "NO_SUCH_RESOURCE")
    assert list(token.fields) == ["page_token"]


def test_what_is_sealed_is_told_by_backend_bucket_and_key(plane: RunningPlane, client: Client) -> None:
    put_plain_and_sealed(plane, client)

    told = client("key", pb.GetEncryptionStatusRequest())

    buckets = {each.name: (each.sealed_bytes, each.plain_bytes) for each in told.buckets}
    assert told.complete
    assert buckets == {"buckets/plain": (0, 1000), "buckets/sealed": (4000, 0)}
    (key,) = told.keys
    assert key.name == f"keys/{plane.opened.ring.primary.key_id.hex()}"
    assert key.sealed_bytes == sum(each.sealed_bytes for each in told.backends) > 4000
    assert sum(each.plain_bytes for each in told.backends) > 1000


def test_counting_goes_on_from_call_to_call_and_is_remembered(plane: RunningPlane, client: Client) -> None:
    put_plain_and_sealed(plane, client)
    clock = MovedClock()
    survey = SealingSurvey(plane.opened.store, clock, count_s_max=-1.0, page_count_max=2)

    looks = [survey.look() for _ in range(4)]
    put_object(plane.opened, "plain", "later", bytes(10))
    remembered = survey.look()
    clock.passed_s = REMEMBER_S
    anew = survey.look()
    for _ in range(6):
        counted = survey.look()

    assert [each.is_complete for each in looks] == [False, False, False, True]
    assert sum(looks[0].backends.values()) < sum(looks[1].backends.values())
    assert sum(looks[-1].buckets.values()) == 5000
    assert remembered == anew == looks[-1]
    assert sum(counted.buckets.values()) == 5010


def test_who_meets_another_at_it_waits_for_nothing(plane: RunningPlane, client: Client) -> None:
    put_plain_and_sealed(plane, client)
    gate, entered = threading.Event(), threading.Event()

    class Held(InterruptedStore):
        def read(self, unit: Callable[[Tx], T], /) -> T:
            entered.set()
            assert gate.wait(10)
            return super().read(unit)

    held = Held(plane.opened.store, at=0, is_committed=False)
    survey = SealingSurvey(held, SystemClock())
    with ThreadPoolExecutor(1) as threads:
        counting = threads.submit(survey.look)
        assert entered.wait(10)
        meanwhile = survey.look()
        gate.set()
        counted = counting.result(10)

    assert (meanwhile.is_complete, meanwhile.buckets) == (False, {})
    assert counted.is_complete
    assert survey.look() == counted


@pytest.mark.parametrize("page_size", [1, 50])
def test_keys_come_in_pages(client: Client, page_size: int) -> None:
    answer = client("key", pb.ListKeysRequest(page_size=page_size))

    assert (len(answer.keys), answer.next_page_token) == (1, "")
