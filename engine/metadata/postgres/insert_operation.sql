-- insert_operation: a long-running action is accepted. One row changed.
INSERT INTO operations (name, method, target, request, state, created_at_us)
VALUES (:name, :method, :target, :request, 'pending', :now_us)
