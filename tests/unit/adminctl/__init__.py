"""Tests: unit/adminctl."""
