"""What the wire refuses before any engine is asked, named after the S3 error code each answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class S3Fault:
    """An S3 error code with its status. `retry_after_s` is sent along where a repeat may help."""

    code: str
    status: HTTPStatus
    retry_after_s: int | None = None


class WireError(Exception):
    """A request that is refused as it stands.

    `message` is for people, `extra` are further elements of the error document, `headers` go out beside it.
    """

    fault: S3Fault
    headers: Mapping[str, str] = {}

    def __init__(self, message: str, **extra: str) -> None:
        super().__init__(message)
        self.message = message
        self.extra = extra


class AccessDenied(WireError):
    fault = S3Fault("AccessDenied", HTTPStatus.FORBIDDEN)

    def __init__(self, message: str = "Access Denied", **extra: str) -> None:
        super().__init__(message, **extra)


class AccessForbidden(WireError):
    """A browser's question that no rule of the bucket's says yes to."""

    fault = S3Fault("AccessForbidden", HTTPStatus.FORBIDDEN)


class AccessControlListNotSupported(WireError):
    fault = S3Fault("AccessControlListNotSupported", HTTPStatus.BAD_REQUEST)


class AuthorizationHeaderMalformed(WireError):
    fault = S3Fault("AuthorizationHeaderMalformed", HTTPStatus.BAD_REQUEST)


class AuthorizationQueryParametersError(WireError):
    fault = S3Fault("AuthorizationQueryParametersError", HTTPStatus.BAD_REQUEST)


class BadDigest(WireError):
    fault = S3Fault("BadDigest", HTTPStatus.BAD_REQUEST)


class BadRequest(WireError):
    fault = S3Fault("BadRequest", HTTPStatus.BAD_REQUEST)


class EntityTooLarge(WireError):
    fault = S3Fault("EntityTooLarge", HTTPStatus.BAD_REQUEST)


class EntityTooSmall(WireError):
    fault = S3Fault("EntityTooSmall", HTTPStatus.BAD_REQUEST)


class IllegalLocationConstraint(WireError):
    fault = S3Fault("IllegalLocationConstraintException", HTTPStatus.BAD_REQUEST)


class IllegalVersioningConfiguration(WireError):
    fault = S3Fault("IllegalVersioningConfigurationException", HTTPStatus.BAD_REQUEST)


class IncompleteBody(WireError):
    fault = S3Fault("IncompleteBody", HTTPStatus.BAD_REQUEST)

    def __init__(
        self, message: str = "The request body terminated unexpectedly or is not well-formed."
    ) -> None:
        super().__init__(message)


class InvalidAccessKeyId(WireError):
    fault = S3Fault("InvalidAccessKeyId", HTTPStatus.FORBIDDEN)


class InvalidArgument(WireError):
    """`name` and `value` are echoed, the value cut to what a log line bears."""

    fault = S3Fault("InvalidArgument", HTTPStatus.BAD_REQUEST)

    def __init__(self, message: str, *, name: str, value: str) -> None:
        super().__init__(message, ArgumentName=name, ArgumentValue=value[:256])


class InvalidDigest(WireError):
    fault = S3Fault("InvalidDigest", HTTPStatus.BAD_REQUEST)


class InvalidEncryptionAlgorithm(WireError):
    fault = S3Fault("InvalidEncryptionAlgorithmError", HTTPStatus.BAD_REQUEST)


class InvalidLocationConstraint(WireError):
    fault = S3Fault("InvalidLocationConstraint", HTTPStatus.BAD_REQUEST)


class InvalidPolicyDocument(WireError):
    fault = S3Fault("InvalidPolicyDocument", HTTPStatus.BAD_REQUEST)

    def __init__(self, problem: str) -> None:
        super().__init__(f"Invalid Policy: {problem}")


class InvalidRequest(WireError):
    fault = S3Fault("InvalidRequest", HTTPStatus.BAD_REQUEST)


class InvalidStorageClass(WireError):
    fault = S3Fault("InvalidStorageClass", HTTPStatus.BAD_REQUEST)


class InvalidTag(WireError):
    fault = S3Fault("InvalidTag", HTTPStatus.BAD_REQUEST)


class InvalidToken(WireError):
    fault = S3Fault("InvalidToken", HTTPStatus.BAD_REQUEST)


class InvalidUri(WireError):
    fault = S3Fault("InvalidURI", HTTPStatus.BAD_REQUEST)

    def __init__(self, message: str = "Couldn't parse the specified URI.") -> None:
        super().__init__(message)


class MalformedPostRequest(WireError):
    fault = S3Fault("MalformedPOSTRequest", HTTPStatus.BAD_REQUEST)

    def __init__(
        self, message: str = "The body of your POST request is not well-formed multipart/form-data."
    ) -> None:
        super().__init__(message)


class MalformedTrailer(WireError):
    fault = S3Fault("MalformedTrailerError", HTTPStatus.BAD_REQUEST)


class MalformedXml(WireError):
    fault = S3Fault("MalformedXML", HTTPStatus.BAD_REQUEST)

    def __init__(
        self,
        message: str = "The XML you provided was not well-formed or did not validate against our published schema",
    ) -> None:
        super().__init__(message)


class MaxMessageLengthExceeded(WireError):
    fault = S3Fault("MaxMessageLengthExceeded", HTTPStatus.BAD_REQUEST)


class MaxPostPreDataLengthExceeded(WireError):
    fault = S3Fault("MaxPostPreDataLengthExceededError", HTTPStatus.BAD_REQUEST)

    def __init__(self) -> None:
        super().__init__("Your POST request fields preceding the upload file were too large.")


class MetadataTooLarge(WireError):
    fault = S3Fault("MetadataTooLarge", HTTPStatus.BAD_REQUEST)


class MethodNotAllowed(WireError):
    """`allowed` are the methods the resource has (RFC 9110, section 15.5.6)."""

    fault = S3Fault("MethodNotAllowed", HTTPStatus.METHOD_NOT_ALLOWED)

    def __init__(self, method: str, *, allowed: list[str]) -> None:
        super().__init__("The specified method is not allowed against this resource.", Method=method[:32])
        self.headers = {"Allow": ", ".join(allowed)}


class MissingContentLength(WireError):
    fault = S3Fault("MissingContentLength", HTTPStatus.LENGTH_REQUIRED)

    def __init__(self, message: str = "You must provide the Content-Length HTTP header.") -> None:
        super().__init__(message)


class MissingRequestBody(WireError):
    fault = S3Fault("MissingRequestBodyError", HTTPStatus.BAD_REQUEST)

    def __init__(self, message: str = "Request Body is empty") -> None:
        super().__init__(message)


class NotConfigured(WireError):
    """A sub-resource of a bucket that was never set: 404 under a code of its own."""

    fault = S3Fault("NoSuchConfiguration", HTTPStatus.NOT_FOUND)

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = S3Fault(code, HTTPStatus.NOT_FOUND)


class NotImplementedYet(WireError):
    """A thing that S3 has and this endpoint has not; `feature` is its name on the wire."""

    fault = S3Fault("NotImplemented", HTTPStatus.NOT_IMPLEMENTED)

    def __init__(self, feature: str) -> None:
        super().__init__(f"{feature} is not implemented.", Feature=feature)


class RequestTimeTooSkewed(WireError):
    fault = S3Fault("RequestTimeTooSkewed", HTTPStatus.FORBIDDEN)


class SignatureDoesNotMatch(WireError):
    """Never says which signature was expected: that would let a stranger sign."""

    fault = S3Fault("SignatureDoesNotMatch", HTTPStatus.FORBIDDEN)

    def __init__(self, **extra: str) -> None:
        super().__init__(
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
            **extra,
        )
