"""The SQLite store: what it promises beyond the suite that every store passes."""
