"""What of the use cases needs no database and no backend."""
