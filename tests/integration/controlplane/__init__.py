"""Tests: integration/controlplane."""
