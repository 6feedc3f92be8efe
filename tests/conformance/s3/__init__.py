"""The S3 API as clients see it: bytes over sockets against a real deployment."""
