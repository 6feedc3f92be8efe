-- list_backend_resets: when each backend was reset last; a row for each that ever was.
SELECT backend_id, asked_at_us FROM backend_resets ORDER BY backend_id
