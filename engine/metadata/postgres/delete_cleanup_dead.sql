-- delete_cleanup_dead: a dead letter is out of the list. One row changed.
DELETE FROM cleanup_dlq WHERE cleanup_id = :cleanup_id
