"""What is known of the providers' S3: quirks as data. docs/reference/s3-backends.md has the table with sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class UploadCheck(Enum):
    """By what a store checks the bytes it was sent, and we its answer."""

    CRC32C = "x-amz-checksum-crc32c, in a trailer when the bytes are streamed"
    MD5 = "Content-MD5 when the bytes are held, and an ETag that is the MD5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """How one kind of store differs from the others.

    `creates_only`: PUT honours `If-None-Match: *`. `has_md5_etags`: the ETag of what one PUT stored is its MD5.
    `verifies_in_place`: it reads and verifies an object itself when HEAD asks for that.
    """

    upload_check: UploadCheck
    creates_only: bool
    has_md5_etags: bool
    is_virtual_hosted: bool = False
    verifies_in_place: bool = False


PRESETS: Mapping[str, Preset] = {
    "generic": Preset(upload_check=UploadCheck.MD5, creates_only=False, has_md5_etags=True),
    # Buckets under SSE-KMS have other ETags.
    "aws": Preset(
        upload_check=UploadCheck.CRC32C, creates_only=True, has_md5_etags=False, is_virtual_hosted=True
    ),
    "minio": Preset(upload_check=UploadCheck.CRC32C, creates_only=True, has_md5_etags=False),
    "penstock": Preset(
        upload_check=UploadCheck.CRC32C, creates_only=True, has_md5_etags=True, verifies_in_place=True
    ),
    "r2": Preset(upload_check=UploadCheck.MD5, creates_only=True, has_md5_etags=True),
    "b2": Preset(upload_check=UploadCheck.MD5, creates_only=False, has_md5_etags=True),
    "wasabi": Preset(upload_check=UploadCheck.MD5, creates_only=False, has_md5_etags=True),
    "gcs": Preset(upload_check=UploadCheck.MD5, creates_only=False, has_md5_etags=True),
    "oci": Preset(upload_check=UploadCheck.MD5, creates_only=False, has_md5_etags=False),
}
