"""What a control plane is told by its command line, and what it says when it cannot run."""

import argparse
import os
import signal
import sys
import threading
from importlib.metadata import version as version_of
from pathlib import Path

from controlplane.app import run_plane
from engine.errors import EngineError, InvalidConfig, StartRefused, WrongKey

STOPPED, FAILED = 0, 1
CANNOT_RUN = 78
"""Exit status of a process that cannot run like this, whoever starts it again (sysexits.h, EX_CONFIG)."""


def main() -> int:
    """Run until told to stop; CANNOT_RUN when starting again would not help."""
    parser = argparse.ArgumentParser(prog="python -m controlplane", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args()
    # A stop that comes while the deployment is being opened is heeded once it is open.
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        has_ended = run_plane(options.config, os.environ, version=version_of("penstock"), stopping=stopping)
    except InvalidConfig as error:
        for problem in error.problems:
            where = f"{options.config}:{problem.line}" if problem.line else f"{options.config}"
            print(f"{where}: {problem.path}: {problem.message}", file=sys.stderr)
        return CANNOT_RUN
    except (StartRefused, WrongKey) as error:
        print(f"penstock: cannot start: {error}", file=sys.stderr)
        return CANNOT_RUN
    except EngineError as error:
        print(f"penstock: cannot start now: {error}", file=sys.stderr)
        return FAILED
    return STOPPED if has_ended else FAILED
