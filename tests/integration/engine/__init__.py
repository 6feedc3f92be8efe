"""Tests: integration/engine."""
