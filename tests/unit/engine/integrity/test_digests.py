"""Digests of a body are those of its bytes however it was cut, and a promise that does not hold is refused."""

import hashlib
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DigestMismatch
from engine.integrity.digests import BodyDigests, RunningChecksum
from engine.streams import Checksum, ChecksumAlgorithm, DigestPlan, ExpectedDigests
from tests.support.crcs import CRC32C, CRC64NVME, crc_bitwise

PLAN = DigestPlan(sha256=True, checksums=tuple(ChecksumAlgorithm))
BODY = b"What a body says, it says once."

INDEPENDENT: dict[ChecksumAlgorithm, Callable[[bytes], bytes]] = {
    ChecksumAlgorithm.CRC32: lambda data: zlib.crc32(data).to_bytes(4, "big"),
    ChecksumAlgorithm.CRC32C: lambda data: crc_bitwise(CRC32C, data).to_bytes(4, "big"),
    ChecksumAlgorithm.CRC64NVME: lambda data: crc_bitwise(CRC64NVME, data).to_bytes(8, "big"),
    ChecksumAlgorithm.SHA1: lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    ChecksumAlgorithm.SHA256: lambda data: hashlib.sha256(data).digest(),
}


def digests_of(*pieces: bytes, plan: DigestPlan = PLAN) -> BodyDigests:
    digests = BodyDigests(plan)
    for piece in pieces:
        digests.update(memoryview(piece))
    return digests


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_digests_do_not_depend_on_how_the_body_was_cut(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)

    digests = digests_of(*pieces)

    assert digests.md5 == hashlib.md5(whole, usedforsecurity=False).digest()
    assert {each.algorithm: each.digest for each in digests.checksums()} == {
        algorithm: compute(whole) for algorithm, compute in INDEPENDENT.items()
    }


def test_only_what_the_plan_asks_for_is_computed() -> None:
    assert digests_of(BODY, plan=DigestPlan()).checksums() == []


@pytest.mark.parametrize("algorithm", ChecksumAlgorithm)
def test_the_check_digits_of_the_catalogue(algorithm: ChecksumAlgorithm) -> None:
    running = RunningChecksum(algorithm)
    running.update(b"123456789")

    assert running.digest == INDEPENDENT[algorithm](b"123456789")


def right(algorithm: ChecksumAlgorithm) -> Checksum:
    return Checksum(algorithm=algorithm, digest=INDEPENDENT[algorithm](BODY))


def test_promises_that_hold_pass() -> None:
    digests = digests_of(BODY)
    md5 = hashlib.md5(BODY, usedforsecurity=False).digest()

    digests.check(ExpectedDigests())
    for algorithm in ChecksumAlgorithm:
        sha256 = hashlib.sha256(BODY).digest()
        digests.check(ExpectedDigests(md5=md5, sha256=sha256, checksum=right(algorithm)))


@pytest.mark.parametrize(
    ("expected", "what"),
    [
        (ExpectedDigests(md5=bytes(16)), "md5"),
        (ExpectedDigests(sha256=bytes(32)), "sha256"),
        (ExpectedDigests(md5=b""), "md5"),
        *(
            (ExpectedDigests(checksum=Checksum(algorithm=each, digest=bytes(4))), each.value)
            for each in ChecksumAlgorithm
        ),
    ],
)
def test_a_promise_that_does_not_hold_is_named(expected: ExpectedDigests, what: str) -> None:
    with pytest.raises(DigestMismatch) as caught:
        digests_of(BODY).check(expected)

    assert caught.value.what == what


@pytest.mark.parametrize(
    "expected",
    [
        ExpectedDigests(sha256=hashlib.sha256(BODY).digest()),
        ExpectedDigests(checksum=right(ChecksumAlgorithm.CRC32)),
    ],
)
def test_a_promise_that_nothing_was_computed_for_does_not_pass(expected: ExpectedDigests) -> None:
    with pytest.raises(ValueError):
        digests_of(BODY, plan=DigestPlan(checksums=(ChecksumAlgorithm.CRC32C,))).check(expected)
