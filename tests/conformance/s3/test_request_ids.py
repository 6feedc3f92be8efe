"""Request ids and measures are ours: nothing that a client chooses becomes one, or a label of one."""

import os
import re
import urllib.request

import pytest

from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.served import Served
from tests.support.sigv4_signer import Signer

OURS = re.compile(r"[0-9A-F]{16}")


@pytest.mark.parametrize("name", ["x-amz-request-id", "x-request-id"])
@pytest.mark.parametrize("value", ["mine", "m" * 4000, "0" * 16])
def test_h22_a_clients_own_request_id_is_ignored(wire: Wire, name: str, value: str) -> None:
    answer = wire.ask("GET", f"/{BUCKET}/sentinel", ((name, value),))

    assert answer.status == 200
    told = answer.header("x-amz-request-id") or ""
    assert OURS.fullmatch(told)
    assert told != value
    assert answer.header("x-request-id") is None


def test_h22_a_request_id_of_a_mebibyte_or_with_line_ends_is_no_request(wire: Wire) -> None:
    huge = b"GET /x HTTP/1.1\r\nHost: h\r\nx-amz-request-id: " + b"m" * 1024 * 1024 + b"\r\n\r\n"
    split = b"GET /x HTTP/1.1\r\nHost: h\r\nx-amz-request-id: a\rX-Evil: 1\r\n\r\n"

    for raw in (huge, split):
        answer = wire.send(raw)
        assert 400 <= answer.status < 500
        assert answer.header("x-evil") is None


def series(served: Served) -> set[str]:
    with urllib.request.urlopen(served.credentials.metrics_url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rpartition(" ")[0] for line in lines if line and not line.startswith("#")}


def test_h23_names_that_clients_choose_make_no_series(wire: Wire, served: Served) -> None:
    def ask_oddly() -> None:
        for _ in range(40):
            name = os.urandom(6).hex()
            wire.ask("GET", f"/{name}/{name}")
            wire.ask("PUT", f"/{BUCKET}/{name}?{name}", body=b"")
            signer: Signer = wire.signer(access_key_id=name.upper())
            wire.ask("GET", f"/{BUCKET}", signer=signer)

    ask_oddly()
    before = series(served)
    ask_oddly()
    after = series(served)

    # Each process has each of them once, and which one served what is chance.
    assert len(after) <= len(before) * 1.5
    assert not any(re.search(r"[0-9a-f]{12}", each, re.IGNORECASE) for each in after)
