"""The roster of background workers and what runs them under leases."""
