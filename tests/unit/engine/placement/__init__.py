"""Placement policy, without a backend in sight."""
