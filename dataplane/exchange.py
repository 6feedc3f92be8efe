"""One request on its way through the pipeline: what was asked, by whom, and how it is to be answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataplane.auth.identity import Identity
from dataplane.auth.post_policy import PostPolicy
from dataplane.auth.sigv4 import Authenticated
from dataplane.wire.bodies import (
    ChunkedBody,
    PlainBody,
    RawBody,
    object_body,
    read_document,
    read_promise,
)
from dataplane.wire.form_file import FormFile
from dataplane.wire.operations import Operation
from dataplane.wire.post_form import PostForm
from dataplane.wire.target import Target
from dataplane.wire.xml_in import DOCUMENT_BYTES_MAX
from engine.names import BucketName, ObjectKey
from engine.records import Bucket


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Handlers read it. `bucket` and `key` are only asked for where the route has them.

    `own_bucket` is the bucket as it was read for this request, where its owner was asked about before the handler.
    """

    environ: dict[str, Any]
    request_id: str
    target: Target
    operation: Operation
    caller: Authenticated
    form: PostForm | None = None
    policy: PostPolicy | None = None
    own_bucket: Bucket | None = None

    @property
    def identity(self) -> Identity:
        return self.caller.identity

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, with those that a presigned URL carries as parameters."""
        return self.caller.headers

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

    def object_body(self) -> PlainBody | ChunkedBody:
        """The plaintext of an upload; raises what can be refused before a byte is read."""
        caller = self.caller
        return object_body(self.raw_body, caller.headers, caller.payload, signatures=caller.signatures)

    def form_file(self) -> FormFile:
        """The file of a form; raises what can be refused before a byte of it is read."""
        form, policy = self.form, self.policy
        assert form is not None
        assert policy is not None
        file = FormFile(
            self.raw_body,
            form.boundary,
            begun=form.head.begun,
            left_bytes=form.left_bytes,
            promise=read_promise(self.headers, self.caller.payload),
            check_size=policy.require_size,
        )
        policy.require_at_most(file.certain_bytes)
        return file

    def read_document(
        self,
        *,
        max_bytes: int = DOCUMENT_BYTES_MAX,
        needs_digest: bool = False,
        has_checksum: bool = True,
    ) -> bytes:
        """A whole XML body, never more than the cap, held against the digests its sender gave."""
        return read_document(
            self.raw_body,
            self.caller.headers,
            self.caller.payload,
            max_bytes=max_bytes,
            needs_digest=needs_digest,
            has_checksum=has_checksum,
        )
