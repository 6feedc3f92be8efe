"""Tests: integration/packaging."""
