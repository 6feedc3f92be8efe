-- Long work of operators: who asked for it, who is at it, why it failed; one at a time for a method and a target. Runs of
-- workers that were asked for are rows of the same table: of those one may wait while another runs.

ALTER TABLE operations ADD COLUMN creator TEXT COLLATE "C"; -- who asked for it; null: nobody knows
ALTER TABLE operations ADD COLUMN request_id TEXT COLLATE "C"; -- what its creator called the request; null: nothing
ALTER TABLE operations ADD COLUMN started_at_us BIGINT; -- when it was first taken up; null: not yet
ALTER TABLE operations ADD COLUMN holder BYTEA; -- process that took it up last; null: none yet
ALTER TABLE operations ADD COLUMN claim_count BIGINT NOT NULL DEFAULT 0; -- times it was taken up since its last stored step
ALTER TABLE operations ADD COLUMN cancelled_by TEXT COLLATE "C"; -- who asked it to stop; null: nobody
ALTER TABLE operations ADD COLUMN error_reason TEXT COLLATE "C"; -- why it failed, for programs; null unless failed

COMMENT ON COLUMN operations.creator IS 'who asked for it; null: nobody knows';
COMMENT ON COLUMN operations.request_id IS 'what its creator called the request; null: nothing';
COMMENT ON COLUMN operations.started_at_us IS 'when it was first taken up; null: not yet';
COMMENT ON COLUMN operations.holder IS 'process that took it up last; null: none yet';
COMMENT ON COLUMN operations.claim_count IS 'times it was taken up since its last stored step';
COMMENT ON COLUMN operations.cancelled_by IS 'who asked it to stop; null: nobody';
COMMENT ON COLUMN operations.error_reason IS 'why it failed, for programs; null unless failed';

CREATE UNIQUE INDEX operations_one_open ON operations (target, method) WHERE state IN ('pending', 'running') AND method <> 'penstock.admin.v1.WorkerService/TriggerWorker';
CREATE UNIQUE INDEX operations_by_request ON operations (method, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX operations_by_creation ON operations (created_at_us, name);
CREATE INDEX operations_by_end ON operations (finished_at_us) WHERE finished_at_us IS NOT NULL;
