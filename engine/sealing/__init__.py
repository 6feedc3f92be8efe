"""Sealing: provider key, ring key, data key, frames; and the cards that describe pieces beside their bytes."""
