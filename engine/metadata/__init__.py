"""Metadata: rows that decide, behind one `Store` with two engines."""
