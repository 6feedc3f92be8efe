"""What the audit keeps of a request: no secret, nothing endless; which fields are secrets is seen from their names."""

import json

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.struct_pb2 import Struct
from penstock.admin.v1 import config_service_pb2, object_service_pb2, worker_service_pb2

from controlplane.methods import SERVICES
from controlplane.redaction import DETAIL_CHARS_MAX, HIDDEN, is_secret, redacted

SECRET_ENDINGS = ("secret", "secret_access_key", "password", "material", "token", "raw")


def fields_of_requests() -> dict[str, FieldDescriptor]:
    """Every text or bytes field that a request of the API can carry, by its full name."""
    found: dict[str, FieldDescriptor] = {}
    seen = set()
    waiting = [method.input_type for service in SERVICES for method in service.methods]
    while waiting:
        message = waiting.pop()
        if message.full_name in seen or not message.full_name.startswith("penstock."):
            continue
        seen.add(message.full_name)
        for field in message.fields:
            if field.message_type is not None:
                waiting.append(field.message_type)
            elif field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
                found[field.full_name] = field
    return found


def test_no_field_that_sounds_like_a_secret_is_kept() -> None:
    kept = {
        name
        for name, field in fields_of_requests().items()
        if field.name.endswith(SECRET_ENDINGS)
        and field.name not in ("page_token", "resume_token")
        and not is_secret(field)
    }

    assert kept == set()


def test_secrets_are_hidden() -> None:
    request = config_service_pb2.ValidateConfigRequest(raw="identities: [{secret_access_key: canary}]")

    assert json.loads(redacted(request)) == {"raw": HIDDEN}


def test_what_was_set_is_kept_by_its_names_in_the_proto() -> None:
    request = object_service_pb2.GetObjectLocationsRequest(bucket="photos", key="a\u2028b")

    assert json.loads(redacted(request)) == {"bucket": "photos", "key": "a\u2028b"}


@pytest.mark.parametrize("length", [257, 100_000])
def test_long_texts_are_cut(length: int) -> None:
    told = json.loads(redacted(worker_service_pb2.TriggerWorkerRequest(name="x" * length)))

    assert told["name"] == "x" * 256 + f"… ({length} characters)"


def test_what_nests_or_goes_on_for_long_is_cut() -> None:
    deep = Struct()
    at = deep
    for _ in range(50):
        at = at.get_or_create_struct("in")
    wide = Struct()
    wide.update({f"key-{n}": "v" * 200 for n in range(1000)})

    assert '{"cut":"…"}' in redacted(deep)
    assert len(redacted(wide)) <= DETAIL_CHARS_MAX * 2
