-- lock_fence: keep a backend from being fenced until the commit. At most one row out.
SELECT 1 FROM backend_fences WHERE backend_id = :backend_id FOR KEY SHARE
