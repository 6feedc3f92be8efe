"""Tests: unit/engine/backends/s3."""
