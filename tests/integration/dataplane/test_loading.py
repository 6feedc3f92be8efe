"""Modules that are loaded before processes fork leave nothing behind that a process could inherit and should not."""

import json
import subprocess
import sys

PROGRAM = """\
import json, os, sys
before = set(os.listdir("/proc/self/fd"))
import dataplane.app
told = {
    "threads": len(os.listdir("/proc/self/task")),
    "files": sorted(set(os.listdir("/proc/self/fd")) - before),
    "grpc": sorted(name for name in sys.modules if name.split(".")[0] == "grpc"),
}
print(json.dumps(told))
"""


def test_loading_the_plane_starts_no_thread_and_opens_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )

    assert json.loads(done.stdout) == {"threads": 1, "files": [], "grpc": []}
