"""Promises of engine.integrity."""
