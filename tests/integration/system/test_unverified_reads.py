"""A store's bytes spliced to clients: whole, in step, cut when they break off, and no pipe is left behind."""

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import FlexibleChecksumError

from engine.units import KIB, MIB
from tests.support.certificates import Authority
from tests.support.fault_proxy import FaultProxy
from tests.support.faults import BitFlip, Request, Reset
from tests.support.raw_http import Connection, NoAnswer, request_bytes
from tests.support.s3_stores import RcloneStore
from tests.support.served import ADMINCTL, Served

SIZE = 6 * MIB + 77
BODY = os.urandom(SIZE)
SMALL = b"small"
METRIC = re.compile(r'^penstock_degradations_total\{kind="read\.verification_off"\} ([0-9.]+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A deployment whose only backend is a store that is read unverified, through a proxy."""

    served: Served
    proxy: FaultProxy

    def connection(self, *, receive_bytes: int | None = None) -> Connection:
        at = urlsplit(self.served.credentials.endpoint)
        assert at.hostname is not None
        assert at.port is not None
        return Connection((at.hostname, at.port), receive_bytes=receive_bytes)

    def get(self, key: str) -> bytes:
        """A whole request."""
        url = self.served.client().generate_presigned_url(
            "get_object", Params={"Bucket": "photos", "Key": key}
        )
        place = urlsplit(url)
        return request_bytes("GET", f"{place.path}?{place.query}", [("Host", place.netloc)])

    def fd_count(self) -> int:
        """Files that the data plane's processes have open."""
        pids = [pid for pid, command in self.served.processes().items() if "dataplane" in command]
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def over_the_store(rclone: RcloneStore, proxy: FaultProxy) -> str:
    place = rclone.place
    return (
        f"backends:\n  - {{name: far, kind: s3, endpoint: '{proxy.endpoint}', bucket: {place.bucket}, prefix: main, "
        f"access_key_id: {place.access_key_id}, secret_access_key: '{place.secret_access_key}', "
        "verify_reads: false}\n"
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    yield from serve(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def over_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """To whose clients nothing is spliced."""
    folder = tmp_path_factory.mktemp("tls")
    yield from serve(folder, Authority(folder / "certificates"))


@pytest.fixture(params=["plain", "over_tls"])
def rig(request: pytest.FixtureRequest) -> Rig:
    made: Rig = request.getfixturevalue(request.param)
    return made


def serve(folder: Path, authority: Authority | None = None) -> Iterator[Rig]:
    with RcloneStore(folder / "rclone") as rclone:
        at = urlsplit(rclone.place.endpoint)
        assert at.hostname is not None
        assert at.port is not None
        with FaultProxy(at.hostname, at.port) as proxy:

            def edited(text: str) -> str:
                changed, count = re.subn(
                    r"(?m)^backends:\n(?:[ \t#-].*\n)+", over_the_store(rclone, proxy), text
                )
                assert count == 1, text
                return changed

            served = Served(folder / "front", volumes=1, edit_config=edited)
            if authority is not None:
                served.speak_tls(authority.issue("server"), authority.ca)
            with served:
                s3 = served.client()
                s3.create_bucket(Bucket="photos")
                s3.put_object(Bucket="photos", Key="large", Body=BODY)
                s3.put_object(Bucket="photos", Key="small", Body=SMALL)
                yield Rig(served=served, proxy=proxy)


def test_objects_and_ranges_come_whole(rig: Rig) -> None:
    s3 = rig.served.client()

    assert s3.get_object(Bucket="photos", Key="large")["Body"].read() == BODY
    assert s3.get_object(Bucket="photos", Key="small")["Body"].read() == SMALL
    for start, stop in ((0, 10), (100, 400 * KIB), (MIB + 3, SIZE)):
        part = s3.get_object(Bucket="photos", Key="large", Range=f"bytes={start}-{stop - 1}")
        assert part["Body"].read() == BODY[start:stop]


def test_a_flipped_bit_goes_out_and_is_counted_and_the_backend_says_why(rig: Rig) -> None:
    trusting = rig.served.client(response_checksum_validation="when_required")
    rig.proxy.add(BitFlip(offset=5 * MIB), which=is_of_a_piece)
    try:
        got = trusting.get_object(Bucket="photos", Key="large")["Body"].read()
        with pytest.raises(FlexibleChecksumError):
            rig.served.client().get_object(Bucket="photos", Key="large")["Body"].read()
    finally:
        rig.proxy.clear()

    assert [at for at in range(SIZE) if got[at] != BODY[at]] == [5 * MIB]
    assert told(rig) > 0
    shown = json.loads(adminctl(rig, "backend", "get", "far", "--output", "json"))
    assert shown["backend"]["unverified_reads"] is True
    assert re.search(r"(?m)^reads +unverified$", adminctl(rig, "backend", "get", "far"))


def adminctl(rig: Rig, *words: str) -> str:
    known = rig.served.credentials
    return subprocess.run(
        [ADMINCTL, *words],
        env={
            **os.environ,
            "PENSTOCK_ENDPOINT": known.control_address,
            "PENSTOCK_TOKEN": known.admin_token,
        },
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def told(rig: Rig) -> float:
    """What metrics say within a while."""
    deadline_s = time.monotonic() + 10.0
    while True:
        with urllib.request.urlopen(rig.served.credentials.metrics_url, timeout=10) as answer:
            found = METRIC.search(answer.read().decode())
        if (found is not None and float(found[1]) > 0) or time.monotonic() > deadline_s:
            return 0.0 if found is None else float(found[1])
        time.sleep(0.1)


def test_answers_behind_a_spliced_one_stay_in_step(plain: Rig) -> None:
    large, small = plain.get("large"), plain.get("small")
    with plain.connection() as connection:
        connection.send(large + small + large + small)

        bodies = [connection.answer().body for _ in range(4)]

    assert bodies == [BODY, SMALL, BODY, SMALL]


def test_a_slow_client_gets_everything(plain: Rig) -> None:
    pauses = iter(range(5))

    def slowly(part: memoryview) -> None:
        taken.extend(part)
        if len(taken) > MIB and next(pauses, None) is not None:
            time.sleep(0.15)

    taken = bytearray()
    with plain.connection(receive_bytes=32 * KIB) as connection:
        connection.send(plain.get("large"))

        assert connection.answer(take=slowly).status == 200
        connection.send(plain.get("small"))
        assert connection.answer().body == SMALL

    assert taken == BODY


def test_clients_that_go_away_leave_no_pipe(plain: Rig) -> None:
    asked = plain.get("large")
    leave(plain, asked, 4)
    before = settled_fd_count(plain, most=10_000)

    leave(plain, asked, 40)

    # Connections to the store that were kept may be among them, and pipes: some, not one for each that left.
    assert settled_fd_count(plain, most=before + 10) <= before + 10
    assert plain.served.client().get_object(Bucket="photos", Key="large")["Body"].read() == BODY


def leave(rig: Rig, asked: bytes, count: int) -> None:
    for _ in range(count):
        connection = rig.connection(receive_bytes=16 * KIB)
        connection.send(asked)
        deadline_s = time.monotonic() + 5.0
        while not connection.peek() and time.monotonic() < deadline_s:
            time.sleep(0.002)
        connection.reset()


def settled_fd_count(rig: Rig, *, most: int) -> int:
    deadline_s = time.monotonic() + 10.0
    before = -1
    while (count := rig.fd_count()) > most or count != before:
        if time.monotonic() > deadline_s:
            break
        before = count
        time.sleep(0.3)
    return count


def test_a_store_that_breaks_off_cuts_the_body(plain: Rig) -> None:
    plain.proxy.add(Reset(after_bytes=3 * MIB), which=is_of_a_piece, count=1)
    plain.proxy.add(Reset(), which=is_of_a_piece)
    got = bytearray()
    with plain.connection() as connection:
        connection.send(plain.get("large"))
        try:
            with pytest.raises(NoAnswer):
                connection.answer(take=got.extend)
        finally:
            plain.proxy.clear()

    # What had come here and was not taken when the connection was reset is lost with it.
    assert 0 < len(got) <= 3 * MIB
    assert BODY.startswith(got)


def is_of_a_piece(request: Request) -> bool:
    return request.method == "GET" and "/pieces/" in request.target
