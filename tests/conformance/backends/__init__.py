"""Tests: conformance/backends."""
