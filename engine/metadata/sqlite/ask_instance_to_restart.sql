-- ask_instance_to_restart: its data-plane processes. One row changed, or none for an unknown instance.
UPDATE instances SET restart_asked_at_us = :now_us WHERE instance_id = :instance_id
