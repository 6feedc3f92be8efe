"""The s3fs of fsspec: files written part by part, exclusive creation, folders that are only prefixes, moves."""

import json
from pathlib import Path

from tests.clients.odd_keys import ODD_KEYS
from tests.clients.running import run

DRIVE = Path(__file__).parent / "s3fs" / "drive.py"


def test_a_file_system_over_keys_holds(s3fs_python: str, client_environment: dict[str, str]) -> None:
    # The name stands under a folder here, and would be too long there.
    keys = [key[:1000] for key in ODD_KEYS]

    run([s3fs_python, str(DRIVE), "s3fs-bucket", json.dumps(keys)], client_environment)
