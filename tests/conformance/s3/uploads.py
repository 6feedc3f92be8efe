"""Multipart uploads written by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from tests.conformance.s3.wire import Wire
from tests.support.raw_http import Answer, Pairs

PART_BYTES = 5 * 1024**2
"""What every part but the last must hold."""


@dataclass
class Upload:
    """An upload in progress, and what was sent of it."""

    wire: Wire
    path: str
    headers: Pairs = ()
    etags: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.created = self.wire.ask("POST", f"{self.path}?uploads", self.headers)
        assert self.created.status == 200, self.created
        self.id = element(self.created.body, "UploadId")

    def target(self, number: int | str) -> str:
        return f"{self.path}?partNumber={number}&uploadId={self.id}"

    def part(self, number: int | str, body: bytes, headers: Pairs = ()) -> Answer:
        answer = self.wire.ask("PUT", self.target(number), headers, body=body)
        if answer.status == 200:
            self.etags[int(number)] = answer.header("etag") or ""
        return answer

    def copy_part(self, number: int | str, source: str, headers: Pairs = ()) -> Answer:
        answer = self.wire.ask("PUT", self.target(number), [("x-amz-copy-source", source), *headers])
        if answer.status == 200:
            self.etags[int(number)] = element(answer.body, "ETag").replace("&quot;", '"')
        return answer

    def complete(
        self,
        parts: Sequence[tuple[int | str, str]] | None = None,
        headers: Pairs = (),
        *,
        checksums: Sequence[str] = (),
    ) -> Answer:
        """`checksums` are further elements of the parts, in their order."""
        listed = list(self.etags.items()) if parts is None else parts
        more = checksums or [""] * len(listed)
        inner = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag>{checksum}</Part>"
            for (number, etag), checksum in zip(listed, more, strict=True)
        )
        document = f"<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>".encode()
        return self.wire.ask("POST", f"{self.path}?uploadId={self.id}", headers, body=document)

    def is_alive(self) -> bool:
        return self.wire.get(f"{self.path}?uploadId={self.id}").status == 200


def element(document: bytes, name: str) -> str:
    """The text of the first element of that name, empty where there is none."""
    return document.partition(f"<{name}>".encode())[2].partition(b"<")[0].decode()
