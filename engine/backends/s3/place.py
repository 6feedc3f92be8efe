"""Where an S3 backend lies, and how it is spoken to."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from engine.backends.s3.presets import PRESETS, Preset


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A prefix of a bucket at an endpoint. Without keys of its own they are looked for as AWS's tools do."""

    endpoint: str
    region: str
    bucket: str
    prefix: str = ""
    preset: str = "generic"
    is_virtual_hosted: bool = False
    unsigned_payload: bool | None = None
    ca: Path | None = None
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)

    @property
    def quirks(self) -> Preset:
        return PRESETS[self.preset]

    @property
    def is_tls(self) -> bool:
        return self.endpoint.startswith("https://")

    @property
    def signs_payload(self) -> bool:
        """Whether bytes that are at hand are part of a signature: where they may be changed on the way, unless told."""
        return not (self.is_tls if self.unsigned_payload is None else self.unsigned_payload)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to connect to."""
        parts = urlsplit(self.endpoint)
        host = parts.hostname or ""
        if self.is_virtual_hosted:
            host = f"{self.bucket}.{host}"
        return host, parts.port or (443 if self.is_tls else 80)

    @property
    def host_header(self) -> str:
        host, port = self.address
        shown = f"[{host}]" if ":" in host else host
        return shown if port == (443 if self.is_tls else 80) else f"{shown}:{port}"

    @property
    def key_prefix(self) -> str:
        """What stands before every key of ours: empty, or ending with a slash."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def bucket_path(self) -> str:
        """Path of the bucket, encoded, without a slash at its end."""
        base = urlsplit(self.endpoint).path.rstrip("/")
        return base if self.is_virtual_hosted else f"{base}/{quote(self.bucket, safe='')}"

    def path_of(self, key: str) -> str:
        """Path of an object below our prefix, encoded."""
        return f"{self.bucket_path}/{quote(self.key_prefix + key, safe='/~')}"

    def path_of_object(self, key: str) -> str:
        """Path of any object of the bucket, encoded: the key is whole."""
        return f"{self.bucket_path}/{quote(key, safe='/~')}"

    def __str__(self) -> str:
        return f"{self.endpoint}/{self.bucket}/{self.key_prefix}"
