"""HEAD with `x-penstock-verify`: the object is read and verified where it lies, and none of its bytes are sent."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from falcon import Response

from dataplane.auth.identity import Identity, Role
from dataplane.auth.sigv4 import Authenticated
from dataplane.exchange import Exchange
from dataplane.handlers.verifying import VERIFIED_FIELD, VERIFY_FIELD, VERIFYING_COUNT_MAX, Verifying
from dataplane.server.contract import Lane
from dataplane.wire.operations import AuthKind, PayloadKind
from dataplane.wire.payload import Payload
from dataplane.wire.served_operations import SERVED
from dataplane.wire.target import parse_target
from engine.records import StoredVersion
from tests.integration.dataplane.in_process import InProcess
from tests.support.objects import ObjectRig
from tests.support.pieces import payload_of

BODY = payload_of(3_000_000)


def head(client: Any, wish: str) -> dict[str, str]:
    """The headers of the answer."""

    def ask(request: Any, **_: object) -> None:
        request.headers["x-penstock-verify"] = wish

    client.meta.events.register_first("before-sign.s3.HeadObject", ask)
    answer = client.head_object(Bucket="photos", Key="k")["ResponseMetadata"]["HTTPHeaders"]
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize("body", [BODY, b""], ids=len)
def test_a_good_object_is_said_to_be_good(client: Any, body: bytes) -> None:
    client.put_object(Bucket="photos", Key="k", Body=body)

    answer = head(client, "blocks")

    assert answer["x-penstock-verified"] == "blocks"
    assert answer["content-length"] == str(len(body))


def test_a_damaged_one_is_said_to_be_bad(rig: ObjectRig, client: Any) -> None:
    client.put_object(Bucket="photos", Key="k", Body=BODY)
    (location,) = rig.find("k").slices[-1].locations
    rig.damage(location.storage_key, 900_000)

    assert head(client, "blocks")["x-penstock-verified"] == "bad"


def test_an_unknown_wish_is_refused(client: Any) -> None:
    client.put_object(Bucket="photos", Key="k", Body=BODY)

    with pytest.raises(ClientError) as refused:
        head(client, "everything")

    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_nobody_who_did_not_ask_is_told(client: Any) -> None:
    client.put_object(Bucket="photos", Key="k", Body=BODY)

    answer = client.head_object(Bucket="photos", Key="k")["ResponseMetadata"]["HTTPHeaders"]

    assert "x-penstock-verified" not in answer


def test_who_may_only_read_is_answered_as_if_it_had_not_asked(rig: ObjectRig, client: Any) -> None:
    client.put_object(Bucket="photos", Key="k", Body=BODY)

    assert "x-penstock-verified" not in head(InProcess(rig, Role.READER).client(), "blocks")
    assert head(InProcess(rig, Role.WRITER).client(), "blocks")["x-penstock-verified"] == "blocks"


class Held:
    """Reads until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.goes_on = threading.Event()

    def verify(self, stored: StoredVersion, /) -> bool:
        self.begun.release()
        assert self.goes_on.wait(20)
        return True


def verified(
    verifying: Verifying, stored: StoredVersion, auth_kind: AuthKind = AuthKind.HEADER
) -> str | None:
    """What is answered to somebody who may ask."""
    identity = Identity(name="alice", account_id=1, account="main", role=Role.WRITER)
    exchange = Exchange(
        environ={"penstock.lane": Lane.STREAMING},
        request_id="R",
        target=parse_target(b"/photos/k"),
        operation=next(each for each in SERVED if each.name == "HeadObject"),
        caller=Authenticated(
            identity=identity,
            access_key_id="AKIDEXAMPLE",
            auth_kind=auth_kind,
            payload=Payload(kind=PayloadKind.UNSIGNED, text=PayloadKind.UNSIGNED.value),
            headers={VERIFY_FIELD: "blocks"},
        ),
    )
    resp = Response()
    verifying.answer(exchange, resp, stored)
    return resp.get_header(VERIFIED_FIELD)


def test_only_a_few_are_read_at_a_time_and_nobody_waits(rig: ObjectRig, client: Any) -> None:
    client.put_object(Bucket="photos", Key="k", Body=BODY)
    reader, stored = Held(), rig.find("k")
    verifying = Verifying(reader)

    with ThreadPoolExecutor(VERIFYING_COUNT_MAX) as threads:
        first = [threads.submit(verified, verifying, stored) for _ in range(VERIFYING_COUNT_MAX)]
        for _ in first:
            assert reader.begun.acquire(timeout=20)
        try:
            beyond = verified(verifying, stored)
        finally:
            reader.goes_on.set()

    assert beyond is None
    assert [each.result() for each in first] == ["blocks"] * VERIFYING_COUNT_MAX
    assert verified(verifying, stored) == "blocks"


def test_a_link_that_was_handed_on_verifies_nothing(rig: ObjectRig, client: Any) -> None:
    client.put_object(Bucket="photos", Key="k", Body=BODY)

    assert verified(Verifying(Held()), rig.find("k"), AuthKind.PRESIGNED) is None
