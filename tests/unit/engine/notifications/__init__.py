"""Tests of `engine.notifications`."""
