"""Opening a deployment: everything a process needs, built once and handed down."""
