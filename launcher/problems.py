"""How a problem of a configuration is printed: like a compiler's, so that editors find the place."""

from pathlib import Path

from engine.errors import ConfigProblem


def problem_line(config: Path, problem: ConfigProblem) -> str:
    """`FILE:LINE: PATH: MESSAGE`, without the line where there is none."""
    where = f"{config}:{problem.line}" if problem.line is not None else str(config)
    return f"{where}: {problem.path}: {problem.message}"
