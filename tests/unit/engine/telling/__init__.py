"""What processes tell each other on a node."""
