"""Tests: unit/controlplane/overview."""
