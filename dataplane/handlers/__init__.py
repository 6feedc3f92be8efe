"""One file per family of S3 operations: parse, call the engine, describe the answer, stream it."""
