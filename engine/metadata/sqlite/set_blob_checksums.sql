-- set_blob_checksums: the bytes of an imported blob were read. One row changed, or none when that was known or it is gone.
UPDATE blobs SET content_hash = :content_hash, block_crcs = :block_crcs
WHERE blob_id = :blob_id AND content_hash IS NULL AND length(block_crcs) = 0
