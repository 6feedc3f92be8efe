-- list_part_blobs: at most :count_max segments of a part, the first ones left.
SELECT ordinal, blob_id FROM multipart_part_segments WHERE part_seq = :part_seq ORDER BY ordinal LIMIT :count_max
