"""Opening a deployment over real files, databases and processes."""
