"""Tests: integration/engine/backends/volume."""
