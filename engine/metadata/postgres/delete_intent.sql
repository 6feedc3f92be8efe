-- delete_intent: the piece is named by a row now. One row changed, or none when somebody recovered it.
DELETE FROM pending_objects WHERE intent_id = :intent_id AND claimed_by IS NULL
