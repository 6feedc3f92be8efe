"""Tests: unit, integration, conformance, chaos, bench."""
