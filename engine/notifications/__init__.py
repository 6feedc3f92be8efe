"""Notifications: what buckets ask to be told of, what is told, and how it is sent."""
