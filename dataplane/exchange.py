"""One request on its way through the pipeline: what was asked, by whom, and what it turned into."""

from dataclasses import dataclass, field
from typing import Any

from dataplane.auth.identity import Identity
from dataplane.wire.routes import Operation
from dataplane.wire.target import Target
from engine.names import BucketName, ObjectKey


@dataclass(slots=True, kw_only=True)
class Exchange:
    """Handlers read it; the pipeline fills it in as it learns. `bucket` and `key` are only asked for where routed."""

    environ: dict[str, Any]
    request_id: str
    target: Target
    operation: Operation
    identity: Identity
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def bucket(self) -> BucketName:
        assert self.target.bucket is not None
        return self.target.bucket

    @property
    def key(self) -> ObjectKey:
        assert self.target.key is not None
        return self.target.key
