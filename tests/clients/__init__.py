"""Real S3 clients against a real deployment, with their own defaults."""
