-- insert_operation: a long-running action is accepted. One row changed.
INSERT INTO operations (name, method, target, request, state, creator, request_id, created_at_us)
VALUES (:name, :method, :target, :request, 'pending', :creator, :request_id, :now_us)
