"""Rules that the code itself keeps, read out of its text: what would break them fails here first."""

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

import dataplane
from dataplane.auth.identity import Identity
from dataplane.auth.sigv4 import Authenticated
from dataplane.exchange import Exchange

PACKAGES = ("adminctl", "controlplane", "dataplane", "engine", "launcher")
ROOT = Path(dataplane.__file__).parents[1]
SECRET_WORDS = ("signature", "expected", "digest", "secret", "mac")
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "yaml.load",
    "yaml.unsafe_load",
    "os.system",
}


def trees(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file.relative_to(ROOT), ast.parse(file.read_text())


def dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case _:
            return ""


def compared_plainly(tree: ast.Module) -> Iterator[int]:
    """Lines where something that only its owner can know is compared with `==`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            names = [dotted(each).rpartition(".")[2] for each in (node.left, *node.comparators)]
            # Constants are nobody's secrets.
            if any(word in name for name in names if not name.isupper() for word in SECRET_WORDS):
                yield node.lineno


def test_signatures_are_compared_in_constant_time() -> None:
    found = [(str(file), line) for file, tree in trees("dataplane/auth") for line in compared_plainly(tree)]

    assert found == []


@pytest.mark.parametrize("text", ["expected == given", "claim.signature != other", "a == self._expected_mac"])
def test_a_plain_comparison_would_be_found(text: str) -> None:
    assert list(compared_plainly(ast.parse(text))) == [1]


def test_nothing_runs_what_others_wrote() -> None:
    found = []
    for file, tree in trees(*PACKAGES):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                has_shell = any(
                    word.arg == "shell"
                    and not (isinstance(word.value, ast.Constant) and word.value.value is False)
                    for word in node.keywords
                )
                if dotted(node.func) in FORBIDDEN_CALLS or has_shell:
                    found.append((str(file), node.lineno))

    assert found == []


def test_what_handlers_get_holds_no_secret() -> None:
    for record in (Exchange, Authenticated, Identity):
        names = {each.name for each in dataclasses.fields(record)}
        assert not any("secret" in name or "signing" in name for name in names), record


def test_handlers_ask_for_no_credentials() -> None:
    wanted = {"authorization", "secret", "signing_key", "signing_keys"}
    found = []
    for file, tree in trees("dataplane/handlers"):
        for node in ast.walk(tree):
            match node:
                case ast.Attribute(attr=name) | ast.Constant(value=name) if name in wanted:
                    found.append((str(file), node.lineno))

    assert found == []
