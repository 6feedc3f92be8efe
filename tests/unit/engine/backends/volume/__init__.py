"""Tests: unit/engine/backends/volume."""
