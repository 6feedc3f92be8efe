"""Clients that stall while TLS begins never hold up a good one, and are cut in the end.

`PENSTOCK_SLOW=500` runs the long form: five hundred, and a wait for the deadline that cuts them.
"""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.served import Served
from tests.support.slow_crowd import SlowCrowd, raise_open_files

LONG = os.environ.get("PENSTOCK_SLOW")
CROWD_COUNT = int(LONG or "150")
CUT_WITHIN_S = 20.0
"""The deadline of the server is 10 s."""

P99_MAX_S = 2.0
BUCKET = "slow-handshakes"

pytestmark = pytest.mark.timeout(300 if LONG else 60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    raise_open_files()
    folder = tmp_path_factory.mktemp("handshakes")
    authority = Authority(folder / "certificates")
    made = Served(folder)
    made.speak_tls(authority.issue("server"), authority.ca)
    with made:
        made.client().create_bucket(Bucket=BUCKET)
        yield made


def address_of(served: Served) -> tuple[str, int]:
    host, _, port = served.credentials.endpoint.removeprefix("https://").rpartition(":")
    return host, int(port)


def took_s(s3: Any, count: int) -> list[float]:
    """How long good requests take, each writing and reading."""
    taken = []
    for number in range(count):
        started_s = time.monotonic()
        s3.put_object(Bucket=BUCKET, Key="good", Body=b"%d" % number)
        assert s3.get_object(Bucket=BUCKET, Key="good")["Body"].read() == b"%d" % number
        taken.append(time.monotonic() - started_s)
    return sorted(taken)


@pytest.mark.parametrize(
    "said",
    [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 40],
    ids=["nothing", "a byte", "half a hello"],
)
def test_g14_clients_that_stall_in_the_handshake(served: Served, said: bytes) -> None:
    crowd = SlowCrowd(address_of(served), [said] * CROWD_COUNT)
    try:
        # A new connection, so that its handshake is among theirs.
        taken = took_s(served.client(), 100)

        assert taken[int(len(taken) * 0.99)] < P99_MAX_S
        if LONG:
            assert crowd.wait_until_cut(CUT_WITHIN_S) == 0
    finally:
        crowd.close()


def test_g14_hellos_that_drip(served: Served) -> None:
    crowd = SlowCrowd(
        address_of(served), [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"] * CROWD_COUNT, drip=b"\x03"
    )
    try:
        taken = took_s(served.client(), 100)

        assert taken[int(len(taken) * 0.99)] < P99_MAX_S
        if LONG:
            assert crowd.wait_until_cut(CUT_WITHIN_S) == 0
    finally:
        crowd.close()


def test_g14_nobody_makes_the_server_negotiate_anew(served: Served) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed on this machine")
    host, port = address_of(served)
    process = subprocess.Popen(
        [program, "s_client", "-connect", f"{host}:{port}", "-CAfile", str(served.ca), "-tls1_2"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    timer = threading.Timer(20, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            if b"Verify return code: 0" in line:
                break
        process.stdin.write(b"R\n")
        process.stdin.flush()
        said = process.stdout.read()
    finally:
        timer.cancel()
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()

    assert b"no renegotiation" in said
    assert took_s(served.client(), 1)


def test_every_process_outlived_it(served: Served) -> None:
    assert "Traceback" not in served.log.read_text(errors="replace")
    assert took_s(served.client(), 1)
