"""Every row of bad input is answered for: signatures, names, bodies, documents, chunks, objects, HTTP, forms (A to H).

A row is covered by tests that carry its number, here and in `tests/chaos`, or by a test of a unit named below, or it is
open: about an operation that is not built, which is then refused by name.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conformance.s3.wire import BUCKET, Wire

_TESTS = Path(__file__).parents[2]
_NUMBERED = re.compile(r"^def test_((?:[a-h][0-9]{2}_)+)", re.MULTILINE)

ROWS: Mapping[str, str] = {
    "a": "1 2 3 4 5 6 7 9 10 11 13 14 15 16 18 19 20 21 22 24 26 28 30 31 32 33 34 36 38 39 40 42 45 47 48 49",
    "b": "1 2 3 4 5 6 7 9 11 12 13 14 15 16 17 18 19 20 22 24 25",
    "c": "1 2 3 4 5 6 7 8 9 10 12 14 16",
    "d": "1 2 4 6 8 9 11 12 13 14 15 16",
    "e": "1 3 4 5 6 8 9 10 11 12 13 15",
    "f": "1 2 3 6 7 8 9 10 12 13 15 16 18 19 20 21 22 23 25 27 28 29 30 32 33 34 36",
    "g": "1 2 3 5 6 7 8 10 12 13 14 15 16 18",
    "h": "1 2 3 4 6 8 22 23",
}

UNITS: Mapping[str, str] = {
    "f25": "test_ten_thousand_parts_become_one_object_and_leave_in_bounded_steps",
    "f27": "test_parts_of_more_than_five_tebibytes_are_no_object",
}
"""Rows whose sizes no wire carries in a test, by the test of the metadata store that shows them."""

OPEN: Mapping[str, str] = {
    "d13": "Lifecycle is not built.",
    "d15": "Bucket policies are not built.",
    "f29": "Object lock is not built.",
    "f30": "Object lock is not built.",
    "f32": "Encryption with keys of the client's is not built.",
}


def test_every_row_is_covered_or_open() -> None:
    folders = (_TESTS / "conformance" / "s3", _TESTS / "chaos")
    numbered = {
        row
        for folder in folders
        for file in folder.glob("test_*.py")
        for found in _NUMBERED.findall(file.read_text())
        for row in found.rstrip("_").split("_")
    }
    rows = {f"{section}{int(number):02d}" for section, numbers in ROWS.items() for number in numbers.split()}

    assert rows - numbered - set(UNITS) - set(OPEN) == set()
    assert set(OPEN) & (numbered | set(UNITS)) == set()
    assert set(OPEN) | set(UNITS) <= rows
    assert {row for row in numbered if row[0] in ROWS} <= rows


def test_the_tests_of_units_are_there() -> None:
    text = (_TESTS / "conformance" / "metadata" / "test_complete.py").read_text()

    assert [name for name in UNITS.values() if f"def {name}(" not in text] == []


LOCK_HEADERS = (
    ("x-amz-object-lock-mode", "COMPLIANCE"),
    ("x-amz-object-lock-retain-until-date", "9999999-01-01T00:00:00Z"),
    ("x-amz-object-lock-legal-hold", "ON"),
    ("x-amz-bypass-governance-retention", "true"),
)
KEY_HEADERS = (
    ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
    ("x-amz-server-side-encryption-customer-key", "c2hvcnQ="),
    ("x-amz-server-side-encryption-customer-key-md5", "c2hvcnQ="),
)


@pytest.mark.parametrize(
    ("row", "method", "query", "headers"),
    [
        *(("f29", method, "", (header,)) for header in LOCK_HEADERS for method in ("PUT", "DELETE")),
        *(("f30", "PUT", sub, ()) for sub in ("retention", "legal-hold")),
        *(("f32", method, "", (header,)) for header in KEY_HEADERS for method in ("PUT", "GET", "HEAD")),
    ],
)
def test_what_is_open_is_refused_by_name(
    wire: Wire, path: str, row: str, method: str, query: str, headers: tuple[tuple[str, str], ...]
) -> None:
    wire.put(path, b"as it was")

    answer = wire.ask(method, f"{path}?{query}" if query else path, headers)

    assert row in OPEN
    assert answer.status == 501
    assert method == "HEAD" or answer.code == "NotImplemented"
    assert wire.stored(path) == b"as it was"


@pytest.mark.parametrize(
    ("row", "method", "sub"),
    [("d13", "PUT", "lifecycle"), ("d15", "PUT", "policy"), ("f30", "PUT", "object-lock")],
)
def test_what_is_open_of_buckets_is_refused_by_name(wire: Wire, row: str, method: str, sub: str) -> None:
    assert row in OPEN
    assert wire.ask(method, f"/{BUCKET}?{sub}").said == (501, "NotImplemented")
