"""Tests of the metadata stores, one engine a folder."""
