"""How parsers are fuzzed: how often, with what, and what may come of it.

A short run by default; `make fuzz` sets PENSTOCK_FUZZ_EXAMPLES for a long one.
"""

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dataplane.wire.faults import error_document, refusal_of
from dataplane.wire.refusals import WireError
from engine.errors import EngineError

EXAMPLES = int(os.environ.get("PENSTOCK_FUZZ_EXAMPLES", "100"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

octets = st.characters(min_codepoint=0, max_codepoint=255)
header_text = st.text(octets, max_size=200)


def mutated(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """Something right with a piece of it cut out, doubled, or replaced."""

    def mutate(seed: bytes, start: int, length: int, put: bytes) -> bytes:
        at = start % (len(seed) + 1)
        return seed[:at] + put + seed[at + length :]

    return st.builds(
        mutate,
        st.sampled_from(seeds),
        st.integers(0, 1 << 16),
        st.integers(0, 40),
        st.one_of(
            st.binary(max_size=20),
            st.sampled_from([b"%", b"%2", b"\r\n", b"&", b"=", b";", b"/", b"<", b">", b"\0"]),
        ),
    )


def answers_or_refuses(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call it; a refusal must also make a document."""
    try:
        return call(*arguments)
    except (WireError, EngineError) as error:
        refusal = refusal_of(error)
        assert 400 <= refusal.fault.status < 500 or refusal.fault.status == 501
        assert error_document(refusal, resource="/", request_id="R", host_id="H").endswith(b"</Error>")
        assert all("\n" not in value and "\r" not in value for value in refusal.headers.values())
        return None
