"""Use cases that clients' requests call: write, read, copy, remove, multipart, listings, buckets."""
