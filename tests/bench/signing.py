"""Requests signed by botocore, ready for load generators that repeat them."""

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials

from tests.support.served import Credentials


class _Unsigned(S3SigV4Auth):  # type: ignore[misc]
    """botocore signs payloads whenever there is no TLS; a load of fixed requests must not."""

    def _should_sha256_sign_payload(self, request: AWSRequest) -> bool:
        return False


def signed_headers(
    credentials: Credentials, method: str, path: str, headers: dict[str, str] | None = None
) -> dict[str, str]:
    """Headers that sign one request with an unsigned payload; good for 15 minutes."""
    request = AWSRequest(method=method, url=credentials.endpoint + path, headers=dict(headers or {}))
    signer = _Unsigned(
        AwsCredentials(credentials.access_key_id, credentials.secret_access_key), "s3", credentials.region
    )
    signer.add_auth(request)
    return {str(name): str(value) for name, value in request.headers.items()}
