"""Access keys are remembered for five seconds: the known ones only, and not more than so many of them."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from engine.deployment.credentials import COUNT_MAX, REMEMBER_S
from engine.deployment.opening import OpenDeployment
from engine.deployment.ring import seal_access_secret
from engine.errors import SealBroken
from engine.metadata.accounts import ensure_account
from engine.metadata.identities import apply_identity, disable_missing
from engine.metadata.store import Tx
from engine.records import Origin
from tests.integration.engine.deployment.conftest import SECRET, AheadClock, Open


def add(deployment: OpenDeployment, *names: str, secret_of: str | None = None) -> None:
    """Identities of these names with access keys `AKIA-NAME`; their secrets sealed for another key if so asked."""

    def unit(tx: Tx) -> None:
        account_id = ensure_account(tx, "main", Origin.CONFIG)
        for name in names:
            sealed = seal_access_secret(
                deployment.ring, secret_of or f"AKIA-{name}", f"secret-of-{name}-0123456789"
            )
            apply_identity(
                tx,
                name=name,
                account_id=account_id,
                role="reader",
                buckets=None,
                access_key_id=f"AKIA-{name}",
                sealed_secret=sealed,
                key_id=deployment.ring.primary.key_id,
            )

    deployment.store.write(unit)


def revoke_all(deployment: OpenDeployment) -> None:
    deployment.store.write(partial(disable_missing, identities=[], tokens=[]))


def test_a_revoked_key_stops_within_five_seconds(opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    known = deployment.find_identity("AKIAALICE")
    assert known is not None

    revoke_all(deployment)

    assert deployment.find_identity("AKIAALICE") is known
    clock.move(REMEMBER_S)
    assert deployment.find_identity("AKIAALICE") is None
    assert deployment.find_identity("AKIAALICE") is None


def test_a_key_that_is_used_all_the_time_is_looked_up_again_all_the_same(opened: Open) -> None:
    clock = AheadClock()
    deployment = opened(clock=clock)
    deployment.find_identity("AKIAALICE")
    revoke_all(deployment)

    for _ in range(4):
        clock.move(REMEMBER_S / 5)
        deployment.find_identity("AKIAALICE")
    clock.move(REMEMBER_S / 5)

    assert deployment.find_identity("AKIAALICE") is None


def test_a_new_key_works_at_once_though_it_was_asked_for_before(opened: Open) -> None:
    deployment = opened()
    assert deployment.find_identity("AKIA-carol") is None

    add(deployment, "carol")

    carol = deployment.find_identity("AKIA-carol")
    assert carol is not None
    assert carol.secret == "secret-of-carol-0123456789"


def test_unknown_keys_are_not_remembered(opened: Open) -> None:
    deployment = opened()

    for number in range(2000):
        assert deployment.find_identity(f"AKIANOBODY{number}") is None

    assert len(deployment.credentials) == 0


def test_not_more_than_so_many_are_remembered(opened: Open) -> None:
    deployment = opened()
    names = [f"n{number}" for number in range(COUNT_MAX + 10)]
    add(deployment, *names)

    for name in names:
        assert deployment.find_identity(f"AKIA-{name}") is not None

    assert len(deployment.credentials) == COUNT_MAX


def test_a_secret_does_not_show_itself(opened: Open) -> None:
    alice = opened().find_identity("AKIAALICE")

    assert alice is not None
    assert alice.secret == SECRET
    assert SECRET not in repr(alice)


def test_a_secret_that_was_moved_to_another_key_does_not_open(opened: Open) -> None:
    deployment = opened()
    add(deployment, "mallory", secret_of="AKIAALICE")

    with pytest.raises(SealBroken):
        deployment.find_identity("AKIA-mallory")


def test_threads_that_ask_at_once_get_the_same_answer(opened: Open) -> None:
    deployment = opened()
    names = [f"n{number}" for number in range(50)]
    add(deployment, *names)
    count = 8
    together = Barrier(count)

    def ask() -> list[str]:
        together.wait()
        found = [deployment.find_identity(f"AKIA-{name}") for name in names]
        return [each.identity for each in found if each is not None]

    with ThreadPoolExecutor(count) as pool:
        answers = [pool.submit(ask) for _ in range(count)]

        assert all(answer.result() == names for answer in answers)
