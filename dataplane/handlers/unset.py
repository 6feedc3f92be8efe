"""Sub-resources that nothing here has: what S3 answers of one that was never set, and writes of what holds anyway."""

from collections.abc import Callable, Mapping
from http import HTTPStatus

from falcon import Response

from dataplane.exchange import Exchange
from dataplane.handlers.answers import answer_xml
from dataplane.handlers.ownership import require_own
from dataplane.wire import standing_documents as standing
from dataplane.wire.parameters import read_version_id
from dataplane.wire.refusals import NotConfigured
from engine.objects.read import Reader

Handle = Callable[[Exchange, Response], None]

_MISSING: Mapping[str, tuple[str, str]] = {
    "GetBucketEncryption": (
        "ServerSideEncryptionConfigurationNotFoundError",
        "The server side encryption configuration was not found",
    ),
    "GetBucketLifecycleConfiguration": (
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    "GetBucketPolicy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
    "GetBucketReplication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    "GetBucketWebsite": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "GetObjectLockConfiguration": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
}
_STANDING: Mapping[str, bytes] = {
    "GetBucketAccelerateConfiguration": standing.ACCELERATION,
    "GetBucketLogging": standing.LOGGING,
    "GetBucketPolicyStatus": standing.POLICY_STATUS,
    "GetBucketRequestPayment": standing.REQUEST_PAYMENT,
}
_HOLDING: Mapping[str, Callable[[bytes], None]] = {
    "PutBucketAccelerateConfiguration": standing.require_no_acceleration,
    "PutBucketLogging": standing.require_no_logging,
    "PutBucketRequestPayment": standing.require_owner_pays,
}
_GONE = (
    "DeleteBucketEncryption",
    "DeleteBucketLifecycle",
    "DeleteBucketPolicy",
    "DeleteBucketReplication",
    "DeleteBucketWebsite",
)


def bucket_handlers() -> Mapping[str, Handle]:
    """By operation; each stands behind the question whose bucket it is."""
    return {
        "GetBucketAcl": _get_acl,
        "PutBucketAcl": _put_acl,
        **{name: _missing(*words) for name, words in _MISSING.items()},
        **{name: _standing(document) for name, document in _STANDING.items()},
        **{name: _holding(require) for name, require in _HOLDING.items()},
        **dict.fromkeys(_GONE, _gone),
    }


class ObjectAclHandlers:
    """Access control lists of objects: the owner's, for every version."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def get(self, exchange: Exchange, resp: Response) -> None:
        self._require_version(exchange)
        _get_acl(exchange, resp)

    def put(self, exchange: Exchange, resp: Response) -> None:
        self._require_version(exchange)
        _put_acl(exchange, resp)

    def _require_version(self, exchange: Exchange) -> None:
        version_id = read_version_id(exchange.target.get("versionId"))
        require_own(exchange, self._reader.find(exchange.bucket, exchange.key, version_id).bucket)


def _get_acl(exchange: Exchange, resp: Response) -> None:
    answer_xml(resp, standing.access_control_policy(exchange.identity.account))


def _put_acl(exchange: Exchange, resp: Response) -> None:
    """A canned list in the header was seen to be the owner's; without one there is a document."""
    if exchange.raw_body.size_bytes or "x-amz-acl" not in exchange.headers:
        standing.require_owner_alone(exchange.read_document(), owner=exchange.identity.account)
    resp.status = HTTPStatus.OK
    resp.content_type = None


def _missing(code: str, message: str) -> Handle:
    def handle(exchange: Exchange, resp: Response) -> None:
        raise NotConfigured(code, message)

    return handle


def _standing(document: bytes) -> Handle:
    def handle(exchange: Exchange, resp: Response) -> None:
        answer_xml(resp, document)

    return handle


def _holding(require: Callable[[bytes], None]) -> Handle:
    def handle(exchange: Exchange, resp: Response) -> None:
        require(exchange.read_document())
        resp.status = HTTPStatus.OK
        resp.content_type = None

    return handle


def _gone(exchange: Exchange, resp: Response) -> None:
    resp.status = HTTPStatus.NO_CONTENT
