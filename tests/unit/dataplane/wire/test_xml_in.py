"""XML from outside is capped, shallow, without document types, and of S3's namespace or none."""

import resource
import time
import tracemalloc

import pytest

from dataplane.wire.refusals import MalformedXml, MaxMessageLengthExceeded, MissingRequestBody, WireError
from dataplane.wire.requests import COMPLETE_BYTES_MAX, read_complete, read_delete, read_location
from dataplane.wire.xml_in import DEPTH_MAX, DOCUMENT_BYTES_MAX, NAMESPACE, parse_document, require_size

SMILES = "".join(f'<!ENTITY l{n} "{"".join(f"&l{n - 1};" for _ in range(10))}">' for n in range(1, 10))
READERS = [
    pytest.param(
        lambda raw: read_location(raw, region="us-east-1"), "CreateBucketConfiguration", id="location"
    ),
    pytest.param(read_delete, "Delete", id="delete"),
    pytest.param(read_complete, "CompleteMultipartUpload", id="complete"),
]
EVERY = pytest.mark.parametrize(("read", "root"), READERS)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param("not xml", id="D1 no XML"),
        pytest.param("<R>", id="D1 truncated"),
        pytest.param("<R><A></R>", id="D1 crossed"),
        pytest.param("<R/><R/>", id="D1 two roots"),
        pytest.param("<R/>x", id="D1 something behind"),
        pytest.param("<Other/>", id="D1 another root"),
        pytest.param("<R>\x01</R>", id="D1 a character XML has not"),
        pytest.param("<R>&#x1;</R>", id="D1 a reference to it"),
        pytest.param("<R>&undefined;</R>", id="D1 an entity nobody defined"),
        pytest.param("<!DOCTYPE R><R/>", id="D2 document type"),
        pytest.param('<!DOCTYPE R [<!ENTITY a "b">]><R>&a;</R>', id="D2 internal entity"),
        pytest.param('<!DOCTYPE R SYSTEM "file:///etc/passwd"><R/>', id="D2 external type"),
        pytest.param('<!DOCTYPE R [<!ENTITY a SYSTEM "file:///etc/passwd">]><R>&a;</R>', id="D2 external"),
        pytest.param(f'<!DOCTYPE R [<!ENTITY l0 "ha">{SMILES}]><R>&l9;</R>', id="D2 billion laughs"),
        pytest.param(f'<!DOCTYPE R [<!ENTITY a "{"a" * 50000}">]><R>{"&a;" * 50000}</R>', id="D2 quadratic"),
        pytest.param("<R>" * (DEPTH_MAX + 1) + "</R>" * (DEPTH_MAX + 1), id="D8 too deep"),
        pytest.param('<R xmlns="http://evil/"/>', id="D6 foreign namespace"),
        pytest.param('<x:R xmlns:x="http://evil/"/>', id="D6 foreign prefix"),
        pytest.param("<x:R/>", id="D6 a prefix of nothing"),
        pytest.param("<r/>", id="D8 wrong case"),
        pytest.param("<?xml version='1.0' encoding='utf-99'?><R/>", id="D1 no such encoding"),
        pytest.param("<?xml version='1.0' encoding='utf-7'?><R>+AAA-</R>", id="D1 an odd encoding"),
    ],
)
@EVERY
def test_what_is_no_document_is_malformed(read: object, root: str, raw: str) -> None:
    assert callable(read)
    started_s = time.process_time()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(MalformedXml):
        read(
            raw.replace("R>", f"{root}>")
            .replace("R/>", f"{root}/>")
            .replace("DOCTYPE R", f"DOCTYPE {root}")
            .replace("<R ", f"<{root} ")
            .replace("x:R ", f"x:{root} ")
            .encode()
        )

    assert time.process_time() - started_s < 1.0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024


@EVERY
def test_d1_an_empty_body_is_missing(read: object, root: str) -> None:
    assert callable(read)
    if root == "CreateBucketConfiguration":
        read(b"")
        return
    for raw in (b"", b" \r\n"):
        with pytest.raises(MissingRequestBody):
            read(raw)


@EVERY
def test_d4_a_body_past_its_cap_is_not_parsed(read: object, root: str) -> None:
    assert callable(read)
    cap = COMPLETE_BYTES_MAX if root == "CompleteMultipartUpload" else DOCUMENT_BYTES_MAX

    with pytest.raises(MaxMessageLengthExceeded):
        read(b"<" + b"a" * cap)
    with pytest.raises(MalformedXml):
        read(b"<" + b"a" * (cap - 1))


def test_d4_a_body_is_refused_by_its_announced_size() -> None:
    require_size(None)
    require_size(DOCUMENT_BYTES_MAX)
    with pytest.raises(MaxMessageLengthExceeded):
        require_size(DOCUMENT_BYTES_MAX + 1)


@pytest.mark.parametrize(
    "raw",
    [
        "<Delete><Object><Key>k</Key></Object></Delete>",
        f'<Delete xmlns="{NAMESPACE}"><Object><Key>k</Key></Object></Delete>',
        f'<s:Delete xmlns:s="{NAMESPACE}"><s:Object><s:Key>k</s:Key></s:Object></s:Delete>',
        f'<s:Delete xmlns:s="{NAMESPACE}"><Object><Key>k</Key></Object></s:Delete>',
        "<?xml version='1.0'?>\n<!-- hi --><Delete>\n <Object ><Key>k</Key>\n</Object><?pi x?></Delete>\n",
        "\ufeff<Delete><Object><Key><![CDATA[k]]></Key></Object></Delete>",
    ],
)
def test_d6_the_namespace_is_s3s_or_none_however_prefixed(raw: str) -> None:
    assert [entry.key for entry in read_delete(raw.encode()).entries] == [b"k"]


def test_utf_16_is_xml_too() -> None:
    raw = "<?xml version='1.0' encoding='utf-16'?><Delete><Object><Key>ö</Key></Object></Delete>".encode(
        "utf-16"
    )

    assert [entry.key for entry in read_delete(raw).entries] == ["ö".encode()]


def test_a_document_type_in_utf_16_is_refused_as_well() -> None:
    raw = "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE Delete><Delete/>".encode("utf-16")

    with pytest.raises(MalformedXml):
        read_delete(raw)


def test_a_large_token_takes_no_quadratic_time() -> None:
    started_s = time.process_time()

    with pytest.raises(WireError):
        parse_document(b"<Delete>" + b"x" * (DOCUMENT_BYTES_MAX - 100), "Delete")

    assert time.process_time() - started_s < 0.2


def test_depth_sixteen_is_not_too_deep() -> None:
    raw = b"<Delete>" + b"<a>" * (DEPTH_MAX - 1) + b"</a>" * (DEPTH_MAX - 1) + b"</Delete>"

    assert parse_document(raw, "Delete").name == "Delete"


def test_text_among_elements_is_malformed() -> None:
    with pytest.raises(MalformedXml):
        parse_document(b"<Delete>text<Object/></Delete>", "Delete")


def test_many_small_elements_take_no_more_memory_than_a_large_list_of_parts() -> None:
    raw = b"<CompleteMultipartUpload>" + b"<a/>" * 500_000 + b"</CompleteMultipartUpload>"
    tracemalloc.start()
    try:
        with pytest.raises(MalformedXml):
            read_complete(raw)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 12 * 1024**2


def test_the_longest_list_of_parts_with_checksums_is_read() -> None:
    part = "<Part><PartNumber>{}</PartNumber><ETag>x</ETag><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part>"
    raw = "".join(
        ["<CompleteMultipartUpload>", *map(part.format, range(1, 10_001)), "</CompleteMultipartUpload>"]
    )

    assert len(read_complete(raw.encode())) == 10_000
