"""Promises of the configuration file and of what is made from it."""
