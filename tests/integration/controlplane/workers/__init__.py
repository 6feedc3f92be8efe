"""Tests: integration/controlplane/workers."""
