"""The pages about the control API, adminctl and errors are what protos, commands and tables say."""

from types import ModuleType

import pytest

from adminctl.exit_status import ExitStatus
from tools import adminctl_reference, control_api_reference, error_reasons


@pytest.mark.parametrize(
    "tool", [control_api_reference, adminctl_reference, error_reasons], ids=lambda t: t.__name__
)
def test_the_page_is_up_to_date(tool: ModuleType) -> None:
    assert tool.PAGE.read_text() == tool.page(), f"run {tool.__name__}"


@pytest.mark.parametrize(
    "tool", [control_api_reference, adminctl_reference, error_reasons], ids=lambda t: t.__name__
)
def test_the_page_is_linked(tool: ModuleType) -> None:
    assert f"({tool.PAGE.name})" in (tool.PAGE.parent / "README.md").read_text()


def test_every_field_of_the_api_is_described() -> None:
    rows = [line for line in control_api_reference.page().splitlines() if line.startswith("| `")]

    assert len(rows) > 100
    assert [row for row in rows if not row.split("|")[-2].strip()] == []


def test_every_exit_status_has_a_meaning() -> None:
    assert set(adminctl_reference.MEANINGS) == set(ExitStatus)
