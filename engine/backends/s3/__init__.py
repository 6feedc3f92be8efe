"""Pieces as objects of any S3-compatible store."""
