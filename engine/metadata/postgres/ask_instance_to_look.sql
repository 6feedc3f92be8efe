-- ask_instance_to_look: at the configuration again. One row changed, or none for an unknown instance.
UPDATE instances SET look_asked_at_us = :now_us WHERE instance_id = :instance_id
