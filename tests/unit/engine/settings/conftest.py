"""A folder with a key file, and a way to load a configuration written there."""

import base64
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.errors import InvalidConfig
from engine.settings import Settings, load_settings

MINIMAL = """\
node:
  name: n1
  state_dir: state
database:
  path: metadata.sqlite
keys:
  provider: file
  path: master.key
backends:
  - name: v1
    kind: volume
    path: v1
"""
"""Twelve lines, so that what a test adds begins on line 13."""

Load = Callable[..., Settings]
Refused = Callable[..., list[tuple[int | None, str, str]]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    key_file = tmp_path / "master.key"
    key_file.touch(0o600)
    key_file.write_bytes(base64.b64encode(bytes(range(32))) + b"\n")
    return tmp_path


@pytest.fixture
def load(folder: Path) -> Load:
    def load_text(text: str, environ: Mapping[str, str] | None = None) -> Settings:
        file = folder / "penstock.yaml"
        file.write_text(text)
        return load_settings(file, environ or {})

    return load_text


@pytest.fixture
def refused(load: Load) -> Refused:
    """Loads a text that must be refused; its problems as (line, path, message)."""

    def load_refused(
        text: str, environ: Mapping[str, str] | None = None
    ) -> list[tuple[int | None, str, str]]:
        with pytest.raises(InvalidConfig) as caught:
            load(text, environ)
        return [(each.line, each.path, each.message) for each in caught.value.problems]

    return load_refused
