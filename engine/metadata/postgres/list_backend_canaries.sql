-- list_backend_canaries: the last trial write to each backend that had one.
SELECT backend_id, problem, checked_at_us FROM backend_canaries
