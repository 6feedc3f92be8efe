-- lock_fence_for_change: wait for those who keep a backend from being fenced. At most one row out.
SELECT 1 FROM backend_fences WHERE backend_id = :backend_id FOR UPDATE
