"""Tests: unit/controlplane."""
