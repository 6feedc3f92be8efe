"""The gunicorn arbiter with our worker class, from its start to SIGTERM."""

import argparse
import gc
import logging
import os
import sys
import time
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

from dataplane.metrics_folder import prepare_folder, reserve_room
from dataplane.open_files import raise_open_files
from dataplane.server.worker import TRY_AGAIN
from engine.deployment.started import started_settings
from engine.errors import EngineError, InvalidConfig, StartRefused
from engine.logs import lines_for, log_to
from engine.settings import Settings

CANNOT_RUN = 78
"""Exit status of a process that cannot run like this, whoever starts it again (sysexits.h, EX_CONFIG)."""

TRY_AGAIN_S = 2.0
"""Pause before the arbiter tries to start a process again."""

GRACEFUL_TIMEOUT_S = 25
SILENT_MAX_S = 30
"""A process whose loop shows no sign of life for so long is killed and replaced."""

BACKLOG_COUNT = 4096
GARBAGE_COUNT = 20_000
"""Objects made before the youngest are looked through: a request makes some hundred and leaves no cycles."""

_log = logging.getLogger("penstock.dataplane")


class _Log(Logger):  # type: ignore[misc]
    """gunicorn's own lines as events of ours."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(lines_for(sys.stderr, process="arbiter"))


class _Application(BaseApplication):  # type: ignore[misc]
    """What the arbiter runs; the plane itself is built in each process after its fork."""

    def __init__(self, config: Path, settings: Settings) -> None:
        self._config = config
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        node = self._settings.node
        sockets = node.node.state_dir / "gunicorn.sock"
        values = {
            "bind": [str(node.listen.s3), str(node.listen.metrics)],
            "workers": node.processes.dataplane,
            "worker_class": "dataplane.server.worker.StreamingWorker",
            "timeout": SILENT_MAX_S,
            "graceful_timeout": GRACEFUL_TIMEOUT_S,
            "backlog": BACKLOG_COUNT,
            "loglevel": self._settings.live.telemetry.log_level,
            "logger_class": _Log,
            "proc_name": "penstock-dataplane",
            "control_socket": str(sockets),
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,
            "post_worker_init": lambda _: _served_mark(self._settings).touch(),
            "child_exit": partial(_child_exit, _metrics_folder(self._settings)),
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from dataplane.app import build_plane

        log_to(None, process="dataplane", level=self._settings.live.telemetry.log_level)
        try:
            reserve_room(_metrics_folder(self._settings), os.getpid())
            plane = build_plane(self._config, version=version_of("penstock"))
            self.server_settings = plane.server_settings
            # What stands now stands to the end; looking through it again and again only costs time and copied pages.
            gc.collect()
            gc.freeze()
            gc.set_threshold(GARBAGE_COUNT, 20, 20)
            return plane
        except InvalidConfig as error:
            _tell(self._config, error)
        except EngineError as error:
            print(f"penstock: cannot start: {error}", file=sys.stderr)
        except Exception:  # whatever it is, processes that serve already go on serving
            _log.exception("dataplane.start_failed")
        if not _served_mark(self._settings).exists():
            sys.exit(Arbiter.APP_LOAD_ERROR)
        time.sleep(TRY_AGAIN_S)
        sys.exit(TRY_AGAIN)


def _child_exit(folder: Path, arbiter: Any, worker: Any) -> None:
    # Imported here: prometheus_client must find its folder when it is imported first.
    from dataplane.metrics import forget_process

    forget_process(folder, worker.pid)


def main() -> int:
    """Run until told to stop; CANNOT_RUN when starting again would not help."""
    parser = argparse.ArgumentParser(prog="python -m dataplane", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args()
    try:
        settings = started_settings(options.config, os.environ)
    except InvalidConfig as error:
        _tell(options.config, error)
        return CANNOT_RUN
    except StartRefused as error:
        print(f"penstock: cannot start: {error}", file=sys.stderr)
        return CANNOT_RUN
    raise_open_files()
    state_dir = settings.node.node.state_dir
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_folder(_metrics_folder(settings), os.environ)
    _load_modules()
    arbiter_pid = os.getpid()
    try:
        _Application(options.config, settings).run()
    except HaltServer as halted:
        # Raised past the arbiter's own handler when a second process fails while the first one's failure is seen to.
        return CANNOT_RUN if halted.exit_status == Arbiter.APP_LOAD_ERROR else 1
    except SystemExit as ended:
        if os.getpid() != arbiter_pid:
            raise
        if ended.code == Arbiter.APP_LOAD_ERROR:
            return CANNOT_RUN
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def _load_modules() -> None:
    """What every process needs is loaded once, in the arbiter: they start sooner and share its memory.

    After `prepare_folder`, as prometheus_client must find its folder when it is imported first.
    """
    import dataplane.app  # noqa: F401

    # Looking through what they share would copy it.
    gc.freeze()
    gc.enable()


def _served_mark(settings: Settings) -> Path:
    """Stands once a process of this arbiter has served: then one that cannot start is no reason to stop the others."""
    return _metrics_folder(settings) / "served"


def _metrics_folder(settings: Settings) -> Path:
    return settings.node.node.state_dir / "metrics"


def _tell(config: Path, error: InvalidConfig) -> None:
    for problem in error.problems:
        where = f"{config}:{problem.line}" if problem.line else f"{config}"
        print(f"{where}: {problem.path}: {problem.message}", file=sys.stderr)
