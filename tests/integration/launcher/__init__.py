"""Promises of the command `penstock`, shown with real processes and real signals."""
