"""One request on its way through the pipeline: what was asked, by whom, and how it is to be answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataplane.s3.bodies import RawBody
from dataplane.s3.faults import IncompleteBody, MissingContentLength
from dataplane.s3.identity import Identity
from dataplane.s3.routes import Operation
from dataplane.s3.sigv4 import Proof
from dataplane.s3.target import Target
from dataplane.s3.xml_in import check_size
from engine.names import BucketName, ObjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Handlers read it. `bucket` and `key` are only asked for where the route has them."""

    environ: dict[str, Any]
    request_id: str
    target: Target
    operation: Operation
    identity: Identity
    proof: Proof
    headers: Mapping[str, str]

    @property
    def bucket(self) -> BucketName:
        assert self.target.bucket is not None
        return self.target.bucket

    @property
    def key(self) -> ObjectKey:
        assert self.target.key is not None
        return self.target.key

    @property
    def raw_body(self) -> RawBody:
        body: RawBody = self.environ["wsgi.input"]
        return body

    def read_document(self, bytes_max: int) -> bytes:
        """A whole XML body, never more than the cap; raises MaxMessageLengthExceeded before a byte too many is read."""
        body = self.raw_body
        if body.size_bytes is None:
            raise MissingContentLength("You must provide the Content-Length HTTP header.")
        check_size(body.size_bytes, bytes_max)
        buffer = bytearray(body.size_bytes)
        view, filled = memoryview(buffer), 0
        while filled < len(buffer):
            count = body.readinto(view[filled:])
            if count == 0:
                raise IncompleteBody("The body ended before the announced Content-Length.")
            filled += count
        return bytes(buffer)
