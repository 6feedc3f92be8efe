"""The control plane under bad input, and what leaves it: row by row."""
