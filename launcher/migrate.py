"""`penstock migrate sqlite-to-postgres`: moves a deployment that is at rest from SQLite to PostgreSQL."""

import os
import sys
from pathlib import Path

from engine.deployment.database import postgres_target, process_count
from engine.errors import DatabaseUnavailable, EngineError, InvalidConfig, StartRefused
from engine.metadata.sqlite_to_postgres import Moved, move
from engine.settings import Settings, load_settings
from engine.settings.database import PostgresSettings, SqliteSettings
from launcher.exit_status import ExitStatus
from launcher.problems import problem_line


def sqlite_to_postgres(source: Path, target: Path) -> int:
    """Move what the configuration `source` keeps in SQLite to where the configuration `target` will look for it."""
    before, after = _load(source), _load(target)
    if before is None or after is None:
        return ExitStatus.CONFIG
    if not isinstance(before.node.database, SqliteSettings):
        return _refuse(f"{source} names no SQLite database: nothing to move")
    if not isinstance(after.node.database, PostgresSettings):
        return _refuse(f"{target} names no PostgreSQL database: write one with `database: {{host: …}}`")
    try:
        moved = move(
            before.node.database.path,
            postgres_target(after.node.database, process_count=process_count(after.node)),
            _say,
        )
    except StartRefused as error:
        return _refuse(str(error))
    except DatabaseUnavailable as error:
        _say(str(error))
        return ExitStatus.FAILED
    except EngineError as error:
        _say(f"nothing was moved: {error}")
        return ExitStatus.FAILED
    _tell(moved, target)
    return ExitStatus.OK


def _load(config: Path) -> Settings | None:
    try:
        return load_settings(config, os.environ)
    except InvalidConfig as error:
        for problem in error.problems:
            print(problem_line(config, problem), file=sys.stderr)
        return None


def _tell(moved: Moved, target: Path) -> None:
    row_count = sum(moved.row_counts.values())
    print(
        f"moved {row_count} rows of {len(moved.row_counts)} tables; the SQLite database lies at {moved.left_at}"
    )
    print(f"start with `penstock serve --config {target}`, and keep the old file until you trust the new one")


def _refuse(why: str) -> int:
    _say(why)
    return ExitStatus.CONFIG


def _say(line: str) -> None:
    print(f"penstock migrate: {line}", file=sys.stderr)
