"""Promises of engine.sealing."""
