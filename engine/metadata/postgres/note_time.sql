-- note_time: the largest time seen so far. One row changed.
UPDATE deployment SET seen_us = GREATEST(seen_us, :now_us)
