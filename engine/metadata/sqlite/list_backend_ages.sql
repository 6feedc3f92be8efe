-- list_backend_ages: all backends, with when a generation first named them.
SELECT backend_id, created_at_us FROM backends
