"""Requests signed by botocore, ready for load generators that repeat them."""

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as AwsCredentials

from tests.support.served import Credentials

UNSIGNED = "UNSIGNED-PAYLOAD"


class _Told(S3SigV4Auth):  # type: ignore[misc]
    """botocore signs the body it is given whenever there is no TLS; a load of fixed requests gives none."""

    told = UNSIGNED

    def payload(self, request: AWSRequest) -> str:
        return self.told


def signed_headers(
    credentials: Credentials,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    *,
    payload: str = UNSIGNED,
) -> dict[str, str]:
    """Headers that sign one request, good for 15 minutes. `payload` is what they say of the body."""
    request = AWSRequest(method=method, url=credentials.endpoint + path, headers=dict(headers or {}))
    signer = _Told(
        AwsCredentials(credentials.access_key_id, credentials.secret_access_key), "s3", credentials.region
    )
    signer.told = payload
    signer.add_auth(request)
    return {str(name): str(value) for name, value in request.headers.items()}
