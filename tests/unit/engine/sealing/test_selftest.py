"""A process whose primitives do not give the published answers does not start."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from engine.errors import StartRefused
from engine.sealing.selftest import KNOWN_ANSWERS, KnownAnswer, run_self_test


def raises_value_error() -> bytes:
    raise ValueError


def test_this_installation_passes() -> None:
    run_self_test()


@pytest.mark.parametrize("answer", KNOWN_ANSWERS, ids=lambda each: each.name)
@pytest.mark.parametrize("compute", [lambda: b"another", raises_value_error], ids=["differs", "fails"])
def test_every_answer_counts_and_is_named(answer: KnownAnswer, compute: Callable[[], bytes]) -> None:
    broken = [replace(each, compute=compute) if each is answer else each for each in KNOWN_ANSWERS]

    with pytest.raises(StartRefused) as caught:
        run_self_test(broken)

    named = [each.name for each in KNOWN_ANSWERS if f"{each.name} (" in str(caught.value)]
    assert named == [answer.name]


def test_an_opener_that_accepts_everything_is_found_out() -> None:
    refusal = next(each for each in KNOWN_ANSWERS if each.name == "AES-256-GCM refusal")

    with pytest.raises(StartRefused):
        run_self_test([replace(refusal, compute=lambda: b"accepted")])
