"""Writes docs/reference/error-reasons.md from the tables of both planes: what every fact is called on either side."""

import sys
from collections.abc import Iterator

from controlplane.status import STATUSES, Own
from dataplane.wire import refusals
from dataplane.wire.faults import FAULTS
from dataplane.wire.refusals import S3Fault, WireError
from engine.errors import EngineError
from tools.reference_page import REFERENCE, cell, run

PAGE = REFERENCE / "error-reasons.md"

INTRODUCTION = """\
# Error codes and reasons

What the engine reports is a fact with a name; each plane says it in its own words, from one table. S3 clients get a
code and a status, callers of the control API a gRPC status with an `ErrorInfo` of domain `penstock` and a reason.
Written from both tables by `tools/error_reasons.py`; a test holds them to all facts there are.

**Repeat** says whether the same call may succeed later as it stands. S3 clients are told to wait with `Retry-After`.

## Facts of the engine

| fact | S3 | gRPC | reason | repeat |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    parts = [INTRODUCTION + "\n".join(_facts()), ""]
    parts += ["## The control API's own reasons\n", "| reason | gRPC | when |\n|---|---|---|"]
    parts += [f"| `{each.name}` | `{each.answer.code.name}` | {cell(each.meaning)} |" for each in Own]
    parts += ["", "## What the S3 wire refuses before the engine is asked\n"]
    parts += ["| S3 code | status |\n|---|---|", *_wire()]
    return "\n".join(parts) + "\n"


def _facts() -> Iterator[str]:
    for kind, answer in STATUSES.items():
        fact = f"**{kind.__name__}**: {cell(_meaning(kind))}"
        repeat = "yes" if kind.may_repeat else "no"
        yield f"| {fact} | {_s3(FAULTS[kind])} | `{answer.code.name}` | `{answer.reason}` | {repeat} |"


def _meaning(kind: type[EngineError]) -> str:
    assert kind.__doc__, f"{kind.__name__} says what it means"
    return kind.__doc__


def _s3(fault: S3Fault) -> str:
    return f"`{fault.code}` {fault.status.value}"


def _wire() -> Iterator[str]:
    faults = {each.fault for each in _refusals(WireError)}
    for fault in sorted(faults, key=lambda each: (each.code, each.status)):
        yield f"| `{fault.code}` | {fault.status.value} |"


def _refusals(kind: type[WireError]) -> Iterator[type[WireError]]:
    for each in kind.__subclasses__():
        if each.__module__ == refusals.__name__:
            yield each
            yield from _refusals(each)


if __name__ == "__main__":
    sys.exit(run(PAGE, page, description=__doc__))
