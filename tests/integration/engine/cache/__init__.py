"""Tests: integration/engine/cache."""
