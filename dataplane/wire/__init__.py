"""The S3 protocol as pure functions: bytes in, bytes out, no socket and no engine use case."""
