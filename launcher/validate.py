"""`penstock validate`: every problem of a configuration file, with its line."""

import os
from pathlib import Path

from engine.errors import InvalidConfig
from engine.settings import load_settings
from launcher.exit_status import ExitStatus
from launcher.problems import problem_line


def validate(config: Path) -> int:
    """Print the problems to standard output; OK only if there are none. Starts nothing and changes nothing."""
    try:
        load_settings(config, os.environ)
    except InvalidConfig as error:
        for problem in error.problems:
            print(problem_line(config, problem))
        return ExitStatus.CONFIG
    print(f"{config}: valid")
    return ExitStatus.OK
