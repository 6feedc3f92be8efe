"""HEAD with `x-penstock-verify`: the object is read and verified where it lies, and none of its bytes are sent."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

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
