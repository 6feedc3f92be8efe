"""Tests of the HTTP server's parts that see no socket."""
