"""Kills, delays and corruption; afterwards every acknowledged byte is still readable."""
