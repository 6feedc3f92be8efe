"""Tests: integration/engine/backends/s3."""
