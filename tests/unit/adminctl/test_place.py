"""Where a command goes and as whom: flag before environment before context before the local socket."""

import stat
import sys
from pathlib import Path

import pytest

from adminctl.contexts import Context, Contexts, contexts_path, read_contexts, write_contexts
from adminctl.place import DEFAULT_ADDRESS, Place, Wanted, find_place, is_local
from adminctl.refusals import Refused


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A person with two deployments, of which `prod` is in use."""
    token = tmp_path / "token"
    token.write_text("prod-token\n")
    token.chmod(0o600)
    environ = {"HOME": str(tmp_path)}
    contexts = Contexts(path=contexts_path(environ))
    contexts = contexts.with_context("prod", Context(endpoint="prod:9001", token_file=str(token)))
    command = f"{sys.executable} -c \"print('test-token')\""
    contexts = contexts.with_context("test", Context(endpoint="test:9001", token_command=command))
    write_contexts(contexts.using("prod"))
    return environ


def found(environ: dict[str, str], **flags: str) -> tuple[str, str]:
    place = find_place(Wanted(**flags), environ)
    return place.address, place.token


def test_without_anything_said_it_is_the_local_socket(tmp_path: Path) -> None:
    assert find_place(Wanted(), {"HOME": str(tmp_path)}) == Place(
        address=DEFAULT_ADDRESS, origin="the default", token="", tls=None
    )


def test_the_current_context_comes_before_the_local_socket(environ: dict[str, str]) -> None:
    assert found(environ) == ("prod:9001", "prod-token")


def test_the_environment_comes_before_the_current_context(environ: dict[str, str]) -> None:
    assert found({**environ, "PENSTOCK_ENDPOINT": "other:1", "PENSTOCK_TOKEN": "t"}) == ("other:1", "t")
    assert found({**environ, "PENSTOCK_CONTEXT": "test"}) == ("test:9001", "test-token")
    assert found({**environ, "PENSTOCK_TOKEN": "t"}) == ("prod:9001", "t")


def test_flags_come_before_all(environ: dict[str, str]) -> None:
    other = {**environ, "PENSTOCK_ENDPOINT": "other:1", "PENSTOCK_TOKEN": "other-token"}

    assert found(other, address="flag:1") == ("flag:1", "other-token")
    assert found(other, context="test") == ("test:9001", "test-token")
    assert found(other, context="test", token="t") == ("test:9001", "t")


def test_the_token_of_the_current_context_goes_nowhere_else(environ: dict[str, str]) -> None:
    assert found(environ, address="flag:1") == ("flag:1", "")
    assert found({**environ, "PENSTOCK_ENDPOINT": "other:1"}) == ("other:1", "")


def test_a_context_asked_for_by_name_gives_its_token_to_the_address_beside_it(
    environ: dict[str, str],
) -> None:
    assert found(environ, context="prod", address="tunnel:1") == ("tunnel:1", "prod-token")


def test_empty_variables_say_nothing(environ: dict[str, str]) -> None:
    assert found({**environ, "PENSTOCK_ENDPOINT": "", "PENSTOCK_TOKEN": ""}) == ("prod:9001", "prod-token")


def test_an_https_address_or_authorities_mean_tls(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}

    by_scheme = find_place(Wanted(address="https://h:1"), environ)
    by_ca = find_place(Wanted(address="h:1", ca="ca.pem"), environ)

    assert (by_scheme.address, by_scheme.tls is not None) == ("h:1", True)
    assert by_ca.tls is not None
    assert by_ca.tls.ca == "ca.pem"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"context": "nowhere"}, "no context 'nowhere'"),
        ({"address": "h:1", "cert": "c"}, "go together"),
        ({"address": "unix:/a", "ca": "c"}, "no TLS"),
        ({"address": "h:1", "token": "a\nb"}, "printable ASCII"),
        ({"address": "h:1", "token": "schlüssel"}, "printable ASCII"),
    ],
)
def test_what_cannot_be_is_refused(environ: dict[str, str], flags: dict[str, str], said: str) -> None:
    with pytest.raises(Refused, match=said):
        found(environ, **flags)


@pytest.mark.parametrize("which", ["file", "token"])
def test_files_that_others_may_read_are_refused(environ: dict[str, str], which: str, tmp_path: Path) -> None:
    path = contexts_path(environ) if which == "file" else tmp_path / "token"
    path.chmod(0o640)

    with pytest.raises(Refused, match="chmod 600"):
        found(environ)


def test_a_command_that_fails_is_told(environ: dict[str, str]) -> None:
    contexts = read_contexts(contexts_path(environ))
    write_contexts(contexts.with_context("odd", Context(endpoint="h:1", token_command="false")))

    with pytest.raises(Refused, match="token_command"):
        found(environ, context="odd")


def test_the_file_is_written_for_its_owner_alone_and_read_back(environ: dict[str, str]) -> None:
    path = contexts_path(environ)
    contexts = read_contexts(path)

    write_contexts(contexts.without_context("test"))

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(read_contexts(path).by_name) == ["prod"]
    assert read_contexts(path).current == "prod"
    assert [each.name for each in path.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    "text",
    [
        "contexts: {a: {endpoint: h, colour: red}}",
        "contexts: {a: {colour: red}}",
        "contexts: {a: {endpoint: h, token_file: x, token_command: y}}",
        "contexts: {a: {endpoint: 1}}",
        "contexts: [a]",
        "current-context: b\ncontexts: {a: {endpoint: h}}",
        "other: 1",
        "a: b: c",
        "contexts: {a: {endpoint: h}, a: {endpoint: i}}",
        "contexts: !!python/object:os.system {}",
    ],
)
def test_a_file_that_says_anything_odd_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(Refused, match=r"config\.yaml"):
        read_contexts(path)


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("unix:/a", True),
        ("127.0.0.1:9001", True),
        ("[::1]:9001", True),
        ("localhost:1", True),
        ("10.0.0.1:9001", False),
        ("127.evil.example:1", False),
    ],
)
def test_what_stays_on_this_machine_is_known(address: str, local: bool) -> None:
    assert is_local(address) is local
