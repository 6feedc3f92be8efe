"""Runs a client's program and shows what it said when it failed."""

import subprocess


def run(arguments: list[str], environment: dict[str, str], *, timeout_s: float = 600) -> str:
    """Standard output; an AssertionError with everything printed when the program fails."""
    done = subprocess.run(
        arguments, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout
