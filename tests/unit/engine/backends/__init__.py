"""Tests: unit/engine/backends."""
