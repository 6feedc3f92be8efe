"""Tests: integration/controlplane/operations."""
