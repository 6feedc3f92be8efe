"""The tools that tests rely on do what they say."""
