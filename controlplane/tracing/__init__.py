"""Traces of the control API: from a call through its servicer to its statements. Off unless configured."""
