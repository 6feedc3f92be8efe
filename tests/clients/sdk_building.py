"""Stubs of the control API in other languages: generated from the protos, compiled with a client, as its page says."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "sdk"
BUILD_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What it needs on the machine, and how its client is built in a folder; the build answers how to run it."""

    tools: Sequence[str]
    build: Callable[[Path], list[str]]
    takes_long: bool = False


def _build_go(folder: Path) -> list[str]:
    plugins = (
        "google.golang.org/protobuf/cmd/protoc-gen-go",
        "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    )
    _run(["go", "build", "-mod=readonly", "-o", "bin/", *plugins], folder)
    _generate("go", folder, folder / "bin")
    _run(["go", "build", "-mod=readonly", "-o", "bin/client", "."], folder)
    return [str(folder / "bin" / "client")]


def _build_node(folder: Path) -> list[str]:
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    _generate("node", folder, folder / "node_modules" / ".bin")
    _run(["npm", "run", "--silent", "build"], folder)
    return ["node", "--unhandled-rejections=strict", str(folder / "built" / "client.js")]


def _build_java(folder: Path) -> list[str]:
    maven = ["mvn", "--quiet", "--batch-mode", "--strict-checksums"]
    _run([*maven, "initialize"], folder)
    tools = folder / "target" / "tools"
    for tool in tools.iterdir():
        tool.chmod(0o755)
    _generate("java", folder, tools)
    _run([*maven, "process-classes"], folder)
    classpath = (folder / "target" / "classpath").read_text()
    return ["java", "-cp", f"{folder / 'target' / 'classes'}:{classpath}", "Client"]


LANGUAGES: Mapping[str, Language] = {
    "go": Language(tools=("go",), build=_build_go, takes_long=True),
    "java": Language(tools=("java", "javac", "mvn"), build=_build_java, takes_long=True),
    "node": Language(tools=("node", "npm"), build=_build_node),
}


def build(name: str, folder: Path) -> list[str]:
    """Copy a language's client to a folder that is not there yet and build it; the command that runs it."""
    shutil.copytree(PROGRAMS / name, folder)
    return LANGUAGES[name].build(folder)


def _generate(name: str, folder: Path, plugins: Path) -> None:
    buf = Path(sys.executable).parent / "buf"
    template = ROOT / "proto" / f"buf.gen.{name}.yaml"
    _run([str(buf), "generate", "--template", str(template), "-o", str(folder)], ROOT, plugins)


def _run(command: Sequence[str], folder: Path, plugins: Path | None = None) -> None:
    path = os.environ["PATH"] if plugins is None else f"{plugins}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
