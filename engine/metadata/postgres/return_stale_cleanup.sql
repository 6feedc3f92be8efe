-- return_stale_cleanup: claims older than :before_us are open again. As many rows changed as there were.
UPDATE cleanup_queue SET claimed_by = NULL, claimed_at_us = NULL WHERE claimed_at_us < :before_us
