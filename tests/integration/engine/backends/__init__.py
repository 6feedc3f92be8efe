"""Tests: integration/engine/backends."""
