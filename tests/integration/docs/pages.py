"""A reader who does what a page says: puts its YAML into the configuration file, and types its commands."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_TIMEOUT_S = 120
_NOT_EVERYWHERE = "not every process runs it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """`language` is `yaml`, or empty for commands."""

    language: str
    text: str


def blocks_of(page: Path, section: str) -> list[Block]:
    """What a section wants to be written or typed, in order."""
    text = page.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    found = [Block(language=language, text=inner) for language, inner in _BLOCK.findall(text)]
    assert found, f"{page.name} has nothing to do under {section!r}"
    return found


def type_in(folder: Path, lines: str, *, environ: Mapping[str, str] | None = None) -> str:
    """Run them in a shell there that stops at the first failure; what they print."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PENSTOCK_"))
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        cwd=folder,
        env={**inherited, "HOME": str(folder), "PATH": path, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Sits in a folder, with a configuration file to edit.

    `own` is what stands for the reader's own in the page, such as an address, and what it is here.
    """

    page: Path
    folder: Path
    config: Path
    environ: Mapping[str, str]
    own: Mapping[str, str]

    def follow(self, section: str) -> str:
        """All of a section; what its commands print."""
        said = ""
        for block in blocks_of(self.page, section):
            text = self._with_own(block.text)
            if block.language == "yaml":
                self.edit(_yaml().load(text))
            else:
                said += self._type(text)
        return said

    def _type(self, lines: str) -> str:
        """Once more where a process could not take a generation over: a busy store may have answered it badly."""
        try:
            return type_in(self.folder, lines, environ=self.environ)
        except AssertionError as error:
            if _NOT_EVERYWHERE not in str(error):
                raise
        type_in(self.folder, "adminctl instance reload", environ=self.environ)
        return type_in(self.folder, lines, environ=self.environ)

    def edit(self, said: Mapping[str, Any]) -> None:
        """Put it into the configuration file: members of lists find theirs by name."""
        document = _yaml().load(self.config)
        self._write(_merged(document, said))

    def take_out(self, backend: str) -> None:
        document = _yaml().load(self.config)
        document["backends"] = [each for each in document["backends"] if each["name"] != backend]
        self._write(document)

    def _write(self, document: Any) -> None:
        _yaml().dump(document, self.config)

    def _with_own(self, text: str) -> str:
        for word, meant in self.own.items():
            text = text.replace(word, meant)
        return text


def _yaml() -> YAML:
    plain = YAML(typ="safe", pure=True)
    plain.default_flow_style = False
    return plain


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, Mapping):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        names = {each["name"]: each for each in new}
        kept = [_merged(each, names.pop(each["name"], {})) for each in old]
        return kept + list(names.values())
    return new
