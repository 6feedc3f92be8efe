"""What the documentation tells people to type does what it says."""
