"""Layers around backends."""
