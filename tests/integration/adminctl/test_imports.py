"""What `adminctl` imports before it can help or complete: no gRPC, no messages, no noun but the one in use."""

import os
import subprocess
import sys

import click
import pytest

from adminctl.main import cli

PROGRAM = """
import sys
sys.argv = ["adminctl", *{arguments!r}]
from adminctl.main import main
try:
    main()
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""

HEAVY = {"grpc._channel", "google.protobuf.message", "rich", "ruamel.yaml", "http", "asyncio", "unittest"}
MODULE_COUNT_MAX = 320
"""What stands here is twice of what was there when it was written without gRPC, and a fifth of it with."""


def imported(*arguments: str, environ: dict[str, str] | None = None) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM.format(arguments=list(arguments))],
        env={"PATH": os.environ["PATH"], **(environ or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stderr.split())


def completing(line: str) -> dict[str, str]:
    """What bash asks with when TAB is pressed at the end of a line."""
    return {
        "_ADMINCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }


def test_help_needs_no_noun() -> None:
    modules = imported("--help")

    assert "click" in modules
    assert not modules & HEAVY
    assert len(modules) < MODULE_COUNT_MAX
    assert not any(name.startswith("adminctl.commands.") for name in modules)


@pytest.mark.parametrize("noun", cli.list_commands(click.Context(cli)))
def test_one_noun_imports_no_other_and_nothing_heavy(noun: str) -> None:
    modules = imported(noun, "--help")

    nouns = {name for name in modules if name.startswith("adminctl.commands.")}
    assert nouns == {f"adminctl.commands.{noun.replace('-', '_')}"}
    assert not modules & HEAVY
    assert len(modules) < MODULE_COUNT_MAX


@pytest.mark.parametrize("line", ["adminctl ", "adminctl backend ", "adminctl worker trigger --"])
def test_completion_of_words_needs_nothing_heavy(line: str) -> None:
    modules = imported(environ=completing(line))

    assert not modules & HEAVY
    assert len(modules) < MODULE_COUNT_MAX
