"""The data plane: S3 over HTTP, streamed between clients and the engine."""
