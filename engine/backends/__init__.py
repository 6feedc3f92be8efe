"""Stores of pieces: volumes on local disks, memory for tests; they do not know each other."""
