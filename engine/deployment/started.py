"""The settings a process starts with: the node's as its instance was started with them, whatever the file says now.

`penstock serve` hands what the file said down in memory. A file that is being edited cannot keep a process from being
started again, nor make it open another database than the others have.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from engine.errors import InvalidConfig, StartRefused
from engine.settings import NodeSettings, Settings, load_settings, settings_of

STARTED_CONFIG = "PENSTOCK_STARTED_CONFIG"
"""Environment variable with the number of the descriptor that `penstock serve` hands down."""

_log = logging.getLogger("penstock.deployment")


def started_settings(config: Path, environ: Mapping[str, str]) -> Settings:
    """Raises InvalidConfig, and StartRefused when the environment names no descriptor."""
    number = environ.get(STARTED_CONFIG)
    if number is None:
        return load_settings(config, environ)
    raw = _read(number)
    started = settings_of(raw, path=config.absolute(), environ=environ)
    try:
        now = load_settings(config, environ)
    except InvalidConfig as error:
        _log.warning("deployment.file_invalid", extra={"problem": str(error)})
        return started
    return replace(started, node=_with_settings_of_processes(started.node, now.node))


def _with_settings_of_processes(started: NodeSettings, now: NodeSettings) -> NodeSettings:
    """Those of a node's settings that count for whichever process is started: see `engine.settings.differences`."""
    return started.model_copy(
        update={
            "listen": started.listen.model_copy(update={"domains": now.listen.domains}),
            "processes": started.processes.model_copy(
                update={
                    "threads_short": now.processes.threads_short,
                    "threads_streaming": now.processes.threads_streaming,
                }
            ),
        }
    )


def _read(number: str) -> bytes:
    try:
        # At a place of its own: other processes share the descriptor's.
        return os.pread(int(number), 1 << 20, 0)
    except (ValueError, OSError) as error:
        raise StartRefused(f"{STARTED_CONFIG} names no descriptor: leave it to `penstock serve`") from error
