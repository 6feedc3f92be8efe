"""What the rows of workers say about their leases."""

DOUBLED_LEASES = """
SELECT one.worker, one.token, other.token FROM worker_runs AS one JOIN worker_runs AS other
ON one.worker = other.worker AND one.run_id < other.run_id
WHERE one.token > other.token
   OR (one.token = other.token AND one.holder <> other.holder)
   OR (other.started_at_us < one.finished_at_us AND COALESCE(one.error, '') NOT LIKE 'LeaseLost%%')
"""
"""Runs that another one overlapped although they ended under their own lease."""
