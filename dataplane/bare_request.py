"""A Falcon request that is no more than its environ."""

from typing import Any

from falcon import Request, RequestOptions


class BareRequest(Request):
    """`env` and `method` alone, and what Falcon itself asks for where it handles an error.

    Falcon would look for a path, for parameters and forms, and make room for what it may find. S3 reads all of these
    from the bytes by rules of its own; to ask for them here is an AttributeError.
    """

    def __init__(self, env: dict[str, Any], options: RequestOptions | None = None) -> None:
        self.env = env
        self.method = env["REQUEST_METHOD"]
        self.is_websocket = False
        if options is not None:
            self.options = options
