"""Use cases for operators and workers: bounded units that may be interrupted and repeated."""
