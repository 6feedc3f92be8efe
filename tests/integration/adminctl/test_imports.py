"""What `adminctl` imports before it can help: no gRPC, no messages, and of the nouns only the one that is used."""

import subprocess
import sys

PROGRAM = """
import sys
from adminctl.main import cli
cli.main({arguments!r}, prog_name="adminctl", standalone_mode=False)
print(*sorted(sys.modules), file=sys.stderr)
"""


def imported(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM.format(arguments=list(arguments))],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return set(done.stderr.split())


def test_help_needs_no_grpc_and_no_noun() -> None:
    modules = imported("--help")

    assert "click" in modules
    assert not modules & {"grpc", "google.protobuf", "penstock", "adminctl.client", "rich"}
    assert not any(name.startswith("adminctl.commands.") for name in modules)


def test_one_noun_imports_no_other() -> None:
    nouns = {name for name in imported("worker", "--help") if name.startswith("adminctl.commands.")}

    assert nouns == {"adminctl.commands.worker"}
