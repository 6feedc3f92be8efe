"""One small deployment for the suite, and after every test a look at whether it is the same one and in good health."""

import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.conformance.s3.uploads import Upload
from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.engines import ENGINES
from tests.support.postgres import shared_server, with_database
from tests.support.served import Served

OTHER_KEY_ID, OTHER_SECRET = "OTHERACCOUNTKEY", "a secret of the other account"
READER_KEY_ID, READER_SECRET = "READERKEY", "a secret of one who reads"
LIMITED_KEY_ID, LIMITED_SECRET = "LIMITEDKEY", "a secret of one who is held to a bucket"
LIMITED_BUCKET = "limited-to-this"
DOMAIN, DOMAIN_BELOW = "s3.test", "below.s3.test"
REST_TIMEOUT_S = 10.0
_MORE_IDENTITIES = f"""
processes:
  dataplane: 2

identities:
  - {{name: other, account: other, access_key_id: {OTHER_KEY_ID}, secret_access_key: {OTHER_SECRET}, role: superuser}}
  - {{name: limited, account: main, access_key_id: {LIMITED_KEY_ID}, secret_access_key: {LIMITED_SECRET}, role: writer,
     buckets: [{LIMITED_BUCKET}]}}
  - {{name: reader, account: main, access_key_id: {READER_KEY_ID}, secret_access_key: {READER_SECRET}, role: reader}}
"""


@pytest.fixture(scope="session", params=ENGINES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    def edited(text: str) -> str:
        text = text.replace("\nidentities:\n", _MORE_IDENTITIES)
        text = text.replace("\nlisten:\n", f"\nlisten:\n  domains: [{DOMAIN}, {DOMAIN_BELOW}]\n")
        if request.param == "sqlite":
            return text
        return with_database(text, shared_server(), shared_server().create_empty_database())

    with Served(tmp_path_factory.mktemp("s3"), volumes=2, edit_config=edited) as each:
        yield each
        assert_at_rest(each)


@pytest.fixture(scope="session")
def session_wire(served: Served) -> Wire:
    wire = Wire.of(served)
    wire.lay_sentinel()
    return wire


@pytest.fixture
def wire(served: Served, session_wire: Wire) -> Iterator[Wire]:
    """A client of the suite's deployment; its processes are the same ones afterwards, and none failed."""
    before, log = _planes(served), served.log.stat().st_size
    yield session_wire
    assert _planes(served) == before, f"a process of the data plane died:\n{served.log_tail()}"
    with served.log.open("rb") as file:
        # Lines are written behind the answers: one may have been half written when the test began, one may be now.
        file.seek(max(0, log - 1))
        if log and file.read(1) != b"\n":
            file.readline()
        told = file.read().decode()
    # The parent of the planes says in words that they serve, which may be after they do.
    events = [line for line in told.split("\n")[:-1] if not line.startswith("penstock: serving")]
    lines = [json.loads(line) for line in events]
    failures = [line for line in lines if line.get("level") in ("error", "critical") or "traceback" in line]
    assert failures == []
    for secret in (
        session_wire.secret,
        OTHER_SECRET,
        READER_SECRET,
        LIMITED_SECRET,
        "Signature=",
        "AWS4-HMAC",
    ):
        assert secret not in told


@pytest.fixture
def other(wire: Wire) -> Wire:
    """Whose buckets are not ours."""
    return replace(wire, access_key_id=OTHER_KEY_ID, secret=OTHER_SECRET)


@pytest.fixture
def reader(wire: Wire) -> Wire:
    """One of our account who may not write."""
    return replace(wire, access_key_id=READER_KEY_ID, secret=READER_SECRET)


@pytest.fixture
def limited(wire: Wire) -> Wire:
    """One of our account who is held to one bucket, which is there."""
    assert wire.ask("PUT", f"/{LIMITED_BUCKET}").said in ((200, ""), (409, "BucketAlreadyOwnedByYou"))
    return replace(wire, access_key_id=LIMITED_KEY_ID, secret=LIMITED_SECRET)


@pytest.fixture
def path(request: pytest.FixtureRequest) -> str:
    """The path of a key that is this test's own."""
    return f"/{BUCKET}/{request.node.originalname}/{os.urandom(6).hex()}"


@pytest.fixture
def upload(wire: Wire, path: str) -> Upload:
    """One that this test began."""
    return Upload(wire, path)


def assert_at_rest(served: Served) -> None:
    """Whatever the suite did, nothing is in flight afterwards, and no connection is left open but the one that asks."""
    deadline = time.monotonic() + REST_TIMEOUT_S
    while True:
        with urllib.request.urlopen(served.credentials.metrics_url, timeout=10) as answer:
            page = answer.read().decode()
        found = {
            name: float(value) for name, value in re.findall(r"^(penstock_\S+) (\S+)$", page, re.MULTILINE)
        }
        busy = sum(value for name, value in found.items() if name.startswith("penstock_requests_in_flight{"))
        if busy == 0 and found["penstock_connections_open"] <= 1:
            return
        assert time.monotonic() < deadline, (busy, found["penstock_connections_open"])
        time.sleep(0.1)


def _planes(served: Served) -> set[int]:
    return {pid for pid, command in served.processes().items() if "dataplane" in command}
