-- forget_intent: whatever it named is settled. One row changed, or none when it was settled before.
DELETE FROM pending_objects WHERE intent_id = :intent_id
