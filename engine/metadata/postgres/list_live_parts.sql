-- list_live_parts: at most :count_max standing parts of an upload after a number, in order.
SELECT part_seq, part_number, size_bytes, etag, checksums, created_at_us
FROM multipart_parts
WHERE upload_id = :upload_id AND state = 'live' AND part_number > :after
ORDER BY part_number
LIMIT :count_max
