"""The embedded engine: SQLite in WAL mode, one committer per process, one machine."""
