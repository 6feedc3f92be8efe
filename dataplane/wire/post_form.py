"""The form of PostObject: its fields by name, what they say of the object, and how its sender wants to be answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from dataplane.wire.bodies import RawBody
from dataplane.wire.form_parts import HEAD_BYTES_MAX, FormHead, read_boundary, read_form_head
from dataplane.wire.headers import is_sendable
from dataplane.wire.refusals import (
    AccessDenied,
    InvalidArgument,
    MaxPostPreDataLengthExceeded,
    MissingContentLength,
)
from engine.errors import InvalidKey
from engine.names import ObjectKey, object_key

FILE_NAME_VARIABLE = "${filename}"

_HEADER_FIELDS = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-md5",
        "content-type",
        "expires",
    }
)
_OF_THE_SIGNATURE = frozenset({"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"})
_STATUSES = frozenset({"200", "201"})
_REDIRECTS = ("success_action_redirect", "redirect")


@dataclass(frozen=True, slots=True, kw_only=True)
class PostForm:
    """A form whose file is still to be read. Names of `fields` are in lower case."""

    fields: Mapping[str, str]
    head: FormHead
    boundary: bytes
    left_bytes: int

    @property
    def key(self) -> ObjectKey:
        """The final key; raises WireError InvalidArgument without one, KeyTooLong."""
        text = self.fields.get("key")
        if text is None:
            raise InvalidArgument(
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the "
                "fields.",
                name="key",
                value="",
            )
        if not text:
            raise InvalidArgument("User key must have a length greater than 0.", name="key", value="")
        try:
            return object_key(text.encode())
        except InvalidKey as error:
            raise InvalidArgument("The key cannot be one.", name="key", value=text) from error

    def headers(self) -> dict[str, str]:
        """What the fields say as the headers of a PUT would: octets as ISO 8859-1 text.

        Raises WireError InvalidArgument for what no header can hold.
        """
        found = {}
        for name, value in self.fields.items():
            if name == "acl":
                name = "x-amz-acl"
            elif name not in _HEADER_FIELDS and (not name.startswith("x-amz-") or name in _OF_THE_SIGNATURE):
                continue
            text = value.encode().decode("latin-1")
            if name in found or not is_sendable(text):
                raise InvalidArgument("A header cannot hold this value.", name=name[:80], value=value)
            found[name] = text
        return found

    @property
    def success_status(self) -> int:
        """200, 201 or 204; what is none of them means 204, as in S3."""
        text = self.fields.get("success_action_status", "")
        return int(text) if text in _STATUSES else 204

    def redirect(self, *, bucket: str, key: ObjectKey, etag: str) -> str | None:
        """Where a browser is sent afterwards; null without a whole http or https address, as if none had come."""
        for name in _REDIRECTS:
            address = self.fields.get(name)
            if address is not None and _is_web_address(address):
                answer = urlencode({"bucket": bucket, "key": key, "etag": f'"{etag}"'})
                before, sign, fragment = address.partition("#")
                return f"{before}{'&' if '?' in before else '?'}{answer}{sign}{fragment}"
        return None


def read_post_form(raw: RawBody, content_type: str) -> PostForm:
    """Read a form up to its file, with `${filename}` replaced everywhere but in the policy.

    Raises WireError: MissingContentLength, MalformedPostRequest, MaxPostPreDataLengthExceeded, InvalidArgument without
    a file, AccessDenied for a field that comes twice: policies are about one value.
    """
    if raw.size_bytes is None:
        raise MissingContentLength
    boundary = read_boundary(content_type)
    head = read_form_head(raw, boundary)
    fields: dict[str, str] = {}
    for name, value in head.fields:
        lower = name.lower()
        if lower in fields:
            raise AccessDenied(f"The form field {lower[:80]} was given more than once.")
        fields[lower] = value
    return PostForm(
        fields=_with_file_name(fields, _last_of_path(head.file_name)),
        head=head,
        boundary=boundary,
        left_bytes=raw.size_bytes - head.taken_bytes,
    )


def _with_file_name(fields: dict[str, str], file_name: str) -> dict[str, str]:
    count = sum(value.count(FILE_NAME_VARIABLE) for name, value in fields.items() if name != "policy")
    if count * len(file_name) > HEAD_BYTES_MAX:
        # A long name in many places would be more than anybody sent.
        raise MaxPostPreDataLengthExceeded
    return {
        name: value if name == "policy" else value.replace(FILE_NAME_VARIABLE, file_name)
        for name, value in fields.items()
    }


def _last_of_path(file_name: str) -> str:
    """Some browsers send the whole path."""
    return file_name.replace("\\", "/").rpartition("/")[2]


def _is_web_address(address: str) -> bool:
    if not (address.isascii() and address.isprintable()) or " " in address or "\\" in address:
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
