-- rename_backend: another name for a backend, so that a new one may have its own. One row changed.
UPDATE backends SET name = :name WHERE backend_id = :backend_id
