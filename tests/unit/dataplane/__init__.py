"""Unit tests of the data plane: no socket, no disk."""
