"""What stands around backends, one concern each, and looks like the backend within."""
