"""A crowd that writes at once waits its turn while there is room for it, and never takes more memory than it may."""

import select
from contextlib import ExitStack
from pathlib import Path

from tests.conformance.s3.wire import BUCKET, Wire
from tests.support.raw_http import Connection, request_bytes
from tests.support.served import Served

_FEW_WRITES = """
processes:
  dataplane: 1

admission:
  writes: 16

identities:
"""


def test_more_small_writes_than_may_be_in_flight_are_all_served(tmp_path: Path) -> None:
    with (
        Served(tmp_path, edit_config=lambda text: text.replace("\nidentities:\n", _FEW_WRITES)) as served,
        ExitStack() as stack,
    ):
        wire = Wire.of(served)
        wire.lay_sentinel()
        crowd = [stack.enter_context(Connection(wire.address)) for _ in range(100)]
        requests = [wire.raw("PUT", f"/{BUCKET}/{number}", body=b"small") for number in range(len(crowd))]

        for connection, request in zip(crowd, requests, strict=True):
            connection.send(request)

        assert {connection.answer("PUT").status for connection in crowd} == {200}


_LITTLE_MEMORY = """
processes:
  dataplane: 1

admission:
  memory_bytes: 16MiB

storage:
  inline_buffer_bytes: 8MiB
"""


def test_bodies_in_chunks_of_http_count_against_the_memory_for_bodies(tmp_path: Path) -> None:
    with (
        Served(tmp_path, edit_config=lambda text: text.replace("\nstorage:\n", _LITTLE_MEMORY)) as served,
        ExitStack() as stack,
    ):
        wire = Wire.of(served)
        wire.lay_sentinel()
        crowd = [stack.enter_context(Connection(wire.address)) for _ in range(3)]
        extra = [("x-amz-decoded-content-length", str(8 << 20)), ("transfer-encoding", "chunked")]
        # So much that the server begins to read it, and no end.
        beginning = b"7fffff\r\n800000\r\n" + b"a" * 70_000
        for number, connection in enumerate(crowd):
            target = f"/{BUCKET}/{number}"
            headers = wire.headers(
                "PUT", target, extra, payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER", length=None
            )
            connection.send(request_bytes("PUT", target, headers, beginning))

        answered, _, _ = select.select([each.socket for each in crowd], [], [], 10)

        assert len(answered) == 1
        (refused,) = [each for each in crowd if each.socket in answered]
        assert refused.answer("PUT").said == (503, "SlowDown")
