"""Before a start with `--reload`: make the configuration file the next generation. In a process of its own."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.deployment.opening import take_file_over
from engine.errors import EngineError, InvalidConfig
from launcher.exit_status import ExitStatus
from launcher.problems import problem_line


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: OK when the newest generation says what the file says."""
    parser = argparse.ArgumentParser(prog="python -m launcher.reload", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    config: Path = parser.parse_args(arguments).config
    try:
        generation = take_file_over(config, os.environ)
    except InvalidConfig as error:
        for problem in error.problems:
            print(problem_line(config, problem), file=sys.stderr)
        return ExitStatus.CONFIG
    except EngineError as error:
        print(f"penstock: the configuration was not taken over: {error}", file=sys.stderr)
        return ExitStatus.FAILED
    print(f"penstock: generation {generation} says what {config} says", file=sys.stderr)
    return ExitStatus.OK


if __name__ == "__main__":
    sys.exit(main())
