"""Pure protocol code of S3 over HTTP: bytes in, bytes out, no socket and no storage in sight."""
