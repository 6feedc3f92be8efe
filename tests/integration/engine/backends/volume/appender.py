"""A process that appends to a volume directory and says what it acknowledged, until it is killed."""

import sys
from pathlib import Path

from tests.support.pieces import payload_of, settle, tail_of
from tests.support.volumes import make_volume_backend


def main() -> None:
    """Arguments: directory, first seed. Prints one line for each durable piece: storage key, size, seed."""
    backend = make_volume_backend(Path(sys.argv[1]))
    seed = int(sys.argv[2])
    while True:
        payload = payload_of(1 + seed * 7919 % 300_000, seed=seed)
        if seed % 4 == 0:
            writer = backend.open_writer(len(payload), 100)
            writer.write(memoryview(payload))
            piece = writer.finish(tail_of(payload))
        else:
            piece = settle(backend.store(memoryview(payload), tail_of(payload)))
        print(piece.storage_key, len(payload), seed, flush=True)
        seed += 1


if __name__ == "__main__":
    main()
