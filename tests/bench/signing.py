"""Requests signed by botocore, ready for load generators that repeat them."""

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials

from tests.support.served import Credentials


def signed_headers(
    credentials: Credentials, method: str, path: str, headers: dict[str, str] | None = None
) -> dict[str, str]:
    """Headers that sign one request with an unsigned payload; good for 15 minutes."""
    request = AWSRequest(method=method, url=credentials.endpoint + path, headers=dict(headers or {}))
    request.headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD"
    request.context["payload_signing_enabled"] = False
    signer = S3SigV4Auth(
        AwsCredentials(credentials.access_key_id, credentials.secret_access_key), "s3", credentials.region
    )
    signer.add_auth(request)
    return {str(name): str(value) for name, value in request.headers.items()}
