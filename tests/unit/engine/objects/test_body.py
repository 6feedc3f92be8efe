"""The pump fills whole buffers from bodies that come in crumbs, and notices each way in which one is wrong."""

import hashlib

import pytest

from engine.errors import BodySizeMismatch, DigestMismatch
from engine.objects.body import BodyPump
from engine.streams import ChecksumAlgorithm, ExpectedDigests
from tests.support.bodies import BytesBody

DATA = bytes(range(256)) * 40


@pytest.mark.parametrize("step_bytes", [1, 7, 4096, 100_000])
def test_buffers_are_filled_whole_and_digested(step_bytes: int) -> None:
    pump = BodyPump(BytesBody(DATA, step_bytes=step_bytes))
    first, second = bytearray(10_000), bytearray(len(DATA) - 10_000)

    pump.fill(memoryview(first))
    pump.fill(memoryview(second))
    pump.finish()

    assert bytes(first + second) == DATA
    assert pump.md5 == hashlib.md5(DATA).digest()


@pytest.mark.parametrize("given_bytes", [0, 1, 99])
def test_a_body_that_ends_early_says_how_much_came(given_bytes: int) -> None:
    pump = BodyPump(BytesBody(DATA[: 100 + given_bytes], announced_bytes=200))
    pump.fill(memoryview(bytearray(100)))

    with pytest.raises(BodySizeMismatch) as refused:
        pump.fill(memoryview(bytearray(100)))

    assert (refused.value.expected_bytes, refused.value.received_bytes) == (200, 100 + given_bytes)


def test_what_the_sender_promised_is_compared_at_the_end() -> None:
    pump = BodyPump(BytesBody(DATA, expected=ExpectedDigests(md5=bytes(16))))
    pump.fill(memoryview(bytearray(len(DATA))))

    with pytest.raises(DigestMismatch) as refused:
        pump.finish()

    assert (refused.value.what, refused.value.computed) == ("md5", hashlib.md5(DATA).digest())


def test_checksums_are_those_of_the_plan_and_those_wanted_beside_it_each_once() -> None:
    body = BytesBody(DATA, checksums=[ChecksumAlgorithm.CRC32])
    pump = BodyPump(body, also=[ChecksumAlgorithm.SHA256, ChecksumAlgorithm.CRC32])

    pump.fill(memoryview(bytearray(len(DATA))))

    found = {each.algorithm: each.digest for each in pump.checksums}
    assert found.keys() == {ChecksumAlgorithm.CRC32, ChecksumAlgorithm.SHA256}
    assert len(pump.checksums) == 2
    assert found[ChecksumAlgorithm.SHA256] == hashlib.sha256(DATA).digest()
