"""Clients of the control API in Go, Java and Node: a call, a stream, a token, and an error with its reason."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache

import pytest

from tests.clients.conftest import IS_LONG, missing
from tests.clients.sdk_building import LANGUAGES, build
from tests.support.served import Served

pytestmark = pytest.mark.timeout(900)

RUN_TIMEOUT_S = 60


BuildClient = Callable[[str], list[str]]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildClient:
    """Generates and compiles a language's client at the first time; the command that runs it."""
    folder = tmp_path_factory.mktemp("sdk")
    return cache(lambda name: build(name, folder / name))


@pytest.fixture(params=LANGUAGES)
def client(request: pytest.FixtureRequest, built: BuildClient) -> list[str]:
    """The command that runs a language's client; skipped by name without its tools."""
    name: str = request.param
    for tool in LANGUAGES[name].tools:
        if shutil.which(tool) is None:
            missing(f"{tool} is not installed on this machine")
    if LANGUAGES[name].takes_long and not IS_LONG:
        pytest.skip(f"{name}'s stubs take a minute to compile: make test-clients")
    return built(name)


def said(client: list[str], served: Served, *, token: str | None = None) -> list[str]:
    """The lines that a client prints before it ends with the error that its last call gets."""
    environ: Mapping[str, str] = {
        **os.environ,
        "PENSTOCK_ENDPOINT": served.credentials.control_address,
        "PENSTOCK_TOKEN": served.credentials.admin_token if token is None else token,
    }
    done = subprocess.run(
        client, env=environ, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False
    )
    assert done.returncode == 1, f"{done.stdout}\n{done.stderr}"
    return done.stdout.splitlines()


def test_a_call_a_stream_and_a_reason_come_through(client: list[str], on_each_engine: Served) -> None:
    lines = said(client, on_each_engine)

    assert lines[0].startswith("version ")
    assert {"event backends/v1", "event workers/cleanup", "event config"} <= set(lines)
    words = lines[-1].replace("_", "").lower().split()
    assert words == ["error", "notfound", "nosuchresource", "penstock"]


def test_a_wrong_token_is_told(client: list[str], on_each_engine: Served) -> None:
    (line,) = said(client, on_each_engine, token="wrong-token-0123456789abcdef")

    assert line.lower().split() == ["error", "unauthenticated", "no_caller", "penstock"]
