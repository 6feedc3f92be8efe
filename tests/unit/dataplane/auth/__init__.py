"""Signatures and roles; ids of rows in test names are those of the list of bad inputs."""
