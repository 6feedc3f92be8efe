"""Tests: integration/adminctl."""
