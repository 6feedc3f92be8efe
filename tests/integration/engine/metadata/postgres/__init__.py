"""What only PostgreSQL can do to metadata."""
