"""The use cases of clients on the real database and real backends."""
