"""References in values: what they become, where they end, and that nothing is expanded twice."""

from pathlib import Path

import pytest

from engine.settings.references import FILE_BYTES_MAX, Surroundings, escaped, resolve
from tests.unit.engine.settings.conftest import MINIMAL, Load, Refused


def resolved(text: str, environ: dict[str, str], folder: Path = Path("/nowhere")) -> str:
    resolution = resolve({"a": text}, Surroundings(environ=environ, folder=folder))
    assert not resolution.unresolved
    return str(resolution.value["a"])


def unresolved(text: str, folder: Path = Path("/nowhere")) -> str:
    return resolve({"a": text}, Surroundings(environ={}, folder=folder)).unresolved[("a",)]


@pytest.mark.parametrize("text", ["${env:HOST}", "${HOST}"])
def test_both_forms_name_an_environment_variable(text: str) -> None:
    assert resolved(f"http://{text}:9000", {"HOST": "near"}) == "http://near:9000"


def test_what_comes_out_is_not_expanded_again() -> None:
    environ = {"A": "${B}", "B": "${A}"}

    assert resolved("${A}", environ) == "${B}"
    assert resolved("${A}${B}", environ) == "${B}${A}"


def test_a_reference_cannot_be_pieced_together() -> None:
    assert "${" in resolved("$${${X}", {"X": "HOME}", "HOME": "secret"})
    assert "secret" not in resolved("$${${X}", {"X": "HOME}", "HOME": "secret"})


def test_a_file_gives_its_text_without_the_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")

    assert resolved("${file:secret}", {}, tmp_path) == "from a file"


def test_a_doubled_dollar_stands_for_itself() -> None:
    assert resolved("$${HOME}", {"HOME": "x"}) == "${HOME}"
    assert resolved(escaped("${HOME}"), {"HOME": "x"}) == "${HOME}"


def test_keys_are_never_expanded() -> None:
    resolution = resolve({"${A}": "x"}, Surroundings(environ={"A": "b"}, folder=Path("/")))

    assert resolution.value == {"${A}": "x"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("${MISSING}", "MISSING is not set"),
        ("${env:}", "no name"),
        ("${}", "no name"),
        ("${vault:x}", "unknown kind"),
        ("${env:A", "without its"),
        ("${file:gone}", "cannot be read"),
        ("${file:.}", "no regular file"),
        ("${file:a\0b}", "cannot be read"),
        ("${file:/dev/zero}", "no regular file"),
    ],
)
def test_a_reference_without_a_value_says_why(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in unresolved(text, tmp_path)


def test_large_files_and_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")

    assert "more than" in unresolved("${file:large}", tmp_path)
    assert "UTF-8" in unresolved("${file:binary}", tmp_path)


def test_numbers_switches_and_sizes_may_come_from_references(load: Load) -> None:
    text = (
        MINIMAL
        + "processes: {dataplane: '${N}'}\nstorage: {chunk_bytes: '${SIZE}'}\ndebug: {allowed: '${YES}'}\n"
    )

    settings = load(text, {"N": "3", "SIZE": "8MiB", "YES": "true"})

    assert settings.node.processes.dataplane == 3
    assert settings.live.storage.chunk_bytes == 8 * 1024 * 1024
    assert settings.live.debug.allowed is True


def test_quoted_digits_are_no_number(refused: Refused) -> None:
    assert refused(MINIMAL + "processes: {dataplane: '3'}\n") == [
        (13, "processes.dataplane", "expected a whole number")
    ]


def test_an_unset_variable_is_told_with_its_line(refused: Refused) -> None:
    assert refused(MINIMAL + "region: ${REGION}\n") == [
        (13, "region", "the environment variable REGION is not set")
    ]
