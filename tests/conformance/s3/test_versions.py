"""Versions over raw sockets: markers, ids and histories as they stand on the wire, and documents that are refused."""

import re
import uuid

import pytest

from tests.conformance.s3.wire import Wire
from tests.support.raw_http import Answer

MALFORMED = (400, "MalformedXML")
ENABLED = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
SUSPENDED = b"<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"


@pytest.fixture
def kept(wire: Wire) -> str:
    """The path of a bucket that keeps versions."""
    path = fresh(wire)
    assert wire.put(f"{path}?versioning", ENABLED).status == 200
    return path


def fresh(wire: Wire) -> str:
    """The path of a bucket of the test's own."""
    path = f"/versions-{uuid.uuid4().hex[:12]}"
    assert wire.put(path, b"").status == 200
    return path


def id_of(answer: Answer) -> str:
    found = answer.header("x-amz-version-id")
    assert found is not None
    return found


def test_f28_s3_34_markers_answer_by_key_and_by_id(wire: Wire, kept: str) -> None:
    first = id_of(wire.put(f"{kept}/k", b"x"))
    deleted = wire.ask("DELETE", f"{kept}/k")
    marker = id_of(deleted)

    assert (deleted.status, deleted.header("x-amz-delete-marker")) == (204, "true")
    for method in ("GET", "HEAD"):
        missing = wire.ask(method, f"{kept}/k")
        assert (missing.status, missing.header("x-amz-delete-marker")) == (404, "true")
        assert id_of(missing) == marker
        refused = wire.ask(method, f"{kept}/k?versionId={marker}")
        assert (refused.status, refused.header("x-amz-delete-marker")) == (405, "true")
        assert refused.header("allow") == "DELETE"
    assert wire.get(f"{kept}/k?versionId={marker}").code == "MethodNotAllowed"
    undone = wire.ask("DELETE", f"{kept}/k?versionId={marker}")
    assert (undone.status, undone.header("x-amz-delete-marker"), id_of(undone)) == (204, "true", marker)
    assert wire.stored(f"{kept}/k") == b"x"
    assert id_of(wire.get(f"{kept}/k")) == first


def test_d11_versioning_documents_that_are_none(wire: Wire) -> None:
    path = f"{fresh(wire)}?versioning"

    def put(inner: str) -> tuple[int, str]:
        document = f"<VersioningConfiguration>{inner}</VersioningConfiguration>".encode()
        return wire.ask("PUT", path, body=document).said

    for text in ("enabled", "Foo", "", "Enabled<x/>"):
        assert put(f"<Status>{text}</Status>") == MALFORMED
    assert put("") == (400, "IllegalVersioningConfigurationException")
    assert put("<Status>Enabled</Status><Status>Enabled</Status>") == MALFORMED
    assert put("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>") == (501, "NotImplemented")
    assert put("<Status>Enabled</Status><MfaDelete>yes</MfaDelete>") == MALFORMED
    assert wire.ask("PUT", path).status == 400
    assert b"<Status>" not in wire.get(path).body
    assert put("<MfaDelete>Disabled</MfaDelete><Status>Enabled</Status>")[0] == 200
    assert b"<Status>Enabled</Status>" in wire.get(path).body


def test_b22_b25_markers_of_histories(wire: Wire, kept: str) -> None:
    version_id = id_of(wire.put(f"{kept}/k", b"x"))

    def said(query: str) -> tuple[int, str]:
        return wire.get(f"{kept}?versions&{query}").said

    assert said(f"version-id-marker={version_id}") == (400, "InvalidArgument")
    assert said("key-marker=k&version-id-marker=") == (400, "InvalidArgument")
    for text in (
        "bogus",
        f"{version_id}.",
        f"{version_id}.-1",
        f"{version_id}.g",
        f"{version_id}.{'f' * 16}",
    ):
        assert said(f"key-marker=k&version-id-marker={text}") == (400, "InvalidArgument"), text
    assert said("max-keys=-1") == said("max-keys=x") == said("encoding-type=foo") == (400, "InvalidArgument")
    none = wire.get(f"{kept}?versions&max-keys=0")
    assert (none.status, b"<Version>" in none.body, b"<IsTruncated>false" in none.body) == (200, False, True)
    behind = wire.get(f"{kept}?versions&key-marker=k&version-id-marker={version_id}")
    assert (behind.status, b"<Version>" in behind.body) == (200, False)


def test_a_history_encodes_its_keys_when_asked(wire: Wire, kept: str) -> None:
    wire.put(f"{kept}/a%20b%01", b"x")

    encoded = wire.get(f"{kept}?versions&encoding-type=url").body.decode()

    assert re.findall(r"<Key>([^<]*)</Key>", encoded) == ["a%20b%01"]
    assert "<EncodingType>url</EncodingType>" in encoded


def test_who_only_reads_deletes_no_version_and_suspends_nothing(wire: Wire, reader: Wire, kept: str) -> None:
    version_id = id_of(wire.put(f"{kept}/k", b"x"))

    for method, target in (("DELETE", f"{kept}/k?versionId={version_id}"), ("DELETE", f"{kept}/k")):
        assert reader.ask(method, target).said == (403, "AccessDenied")
    assert reader.ask("PUT", f"{kept}?versioning", body=SUSPENDED).said == (403, "AccessDenied")
    assert reader.get(f"{kept}/k?versionId={version_id}").status == 200
    assert b"<Status>Enabled" in wire.get(f"{kept}?versioning").body
