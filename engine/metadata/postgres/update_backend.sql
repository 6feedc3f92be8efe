-- update_backend: what a generation says about a backend that exists. One row changed.
UPDATE backends SET failure_domain = :failure_domain WHERE backend_id = :backend_id
