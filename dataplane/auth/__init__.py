"""Who asks, proven by signature, and what they may do."""
