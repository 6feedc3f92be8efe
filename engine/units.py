"""Sizes and times that formats and limits are stated in."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB

BLOCK_BYTES = 256 * KIB
"""Checksum unit of a stored piece: one CRC32C per block."""

FRAME_BYTES = 64 * KIB
"""Plaintext bytes in one AEAD frame of a sealed blob."""

PART_SIZE_MIN_BYTES = 5 * MIB
"""Least size of every multipart part but the last (S3 API, multipart upload limits)."""

PART_NUMBER_MAX = 10_000
PUT_SIZE_MAX_BYTES = 5 * GIB
OBJECT_SIZE_MAX_BYTES = 5 * TIB

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S
