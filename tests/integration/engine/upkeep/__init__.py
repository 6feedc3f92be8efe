"""Tests: integration/engine/upkeep."""
