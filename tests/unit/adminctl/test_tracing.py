"""What a command sends for traces is a context as W3C has it, its own or that of what runs it."""

import re

import pytest

from adminctl.tracing import trace_id, traceparent_of

GIVEN = f"00-{'ab' * 16}-{'cd' * 8}-01"


def test_a_command_is_part_of_what_runs_it() -> None:
    assert traceparent_of({"TRACEPARENT": GIVEN}) == GIVEN
    assert trace_id(GIVEN) == "ab" * 16


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "x",
        GIVEN.upper(),
        GIVEN + "-1",
        f"00-{'0' * 32}-{'cd' * 8}-01",
        f"01{GIVEN[2:]}",
        f"{GIVEN}\n",
    ],
)
def test_what_is_no_context_is_left_out_and_a_trace_begun(given: str | None) -> None:
    environ = {} if given is None else {"TRACEPARENT": given}

    made = traceparent_of(environ)

    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)
    assert made != traceparent_of(environ)
