"""The AWS SDK for JavaScript: streams in chunks, parts, presigned requests and conditions, over either engine."""

import json
from pathlib import Path

from tests.clients.conftest import environment_for
from tests.clients.odd_keys import ODD_KEYS, SLASHED_KEYS
from tests.clients.running import run
from tests.support.served import Served


def test_what_the_sdk_is_asked_to_do_holds(
    javascript_folder: Path, on_each_engine: Served, tmp_path: Path
) -> None:
    run(
        [
            "node",
            "--unhandled-rejections=strict",
            str(javascript_folder / "drive.mjs"),
            "javascript",
            json.dumps([*ODD_KEYS, *SLASHED_KEYS]),
        ],
        environment_for(on_each_engine, tmp_path),
    )
