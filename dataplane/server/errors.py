"""What the server finds wrong with a request or its connection."""


class Refused(Exception):
    """A request that the server answers itself, and then closes the connection."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class BodyError(Exception):
    """Base of what reading a body may meet. The connection is closed after the answer."""


class IncompleteBody(BodyError):
    """The connection ended before the announced length."""


class BodyTooSlow(BodyError):
    """The body came slower than the least rate."""


class MalformedFraming(BodyError):
    """A chunk is no chunk."""
