"""obstore (the object_store crate): conditional puts as delta tables make them, offsets in listings, ranges."""

import os
import urllib.request
from datetime import timedelta

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import S3Store

from tests.clients.odd_keys import ODD_KEYS
from tests.support.served import Served

MIB = 1024**2
BUCKET = "obstore"


@pytest.fixture(scope="module")
def store(served: Served) -> S3Store:
    served.client().create_bucket(Bucket=BUCKET)
    return S3Store(
        BUCKET,
        endpoint=served.credentials.endpoint,
        region=served.credentials.region,
        access_key_id=served.credentials.access_key_id,
        secret_access_key=served.credentials.secret_access_key,
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )


@pytest.mark.parametrize("size_bytes", [0, 1, 70_000, 12 * MIB])
def test_bytes_come_back(store: S3Store, size_bytes: int) -> None:
    payload = os.urandom(size_bytes)

    put = obstore.put(store, "plain", payload, attributes={"Content-Type": "text/x-plain", "colour": "blue"})
    got = obstore.get(store, "plain")

    assert got.meta["e_tag"] == put["e_tag"]
    assert got.meta["size"] == size_bytes
    assert got.attributes["Content-Type"] == "text/x-plain"
    assert got.attributes["colour"] == "blue"
    assert bytes(got.bytes()) == payload


def test_ranges_are_slices(store: S3Store) -> None:
    payload = os.urandom(300_000)
    obstore.put(store, "ranged", payload)

    several = obstore.get_ranges(store, "ranged", starts=[0, 250_000], lengths=[10, 50_000])

    assert [bytes(each) for each in several] == [payload[:10], payload[250_000:]]
    assert bytes(obstore.get_range(store, "ranged", start=5, length=7)) == payload[5:12]
    assert bytes(obstore.get(store, "ranged", options={"range": {"suffix": 9}}).bytes()) == payload[-9:]


def test_a_key_is_created_once(store: S3Store) -> None:
    obstore.put(store, "once", b"first", mode="create")

    with pytest.raises(AlreadyExistsError):
        obstore.put(store, "once", b"second", mode="create")

    assert bytes(obstore.get(store, "once").bytes()) == b"first"


def test_an_update_names_what_it_replaces(store: S3Store) -> None:
    first = obstore.put(store, "updated", b"first")

    second = obstore.put(store, "updated", b"second", mode={"e_tag": first["e_tag"]})
    with pytest.raises(PreconditionError):
        obstore.put(store, "updated", b"third", mode={"e_tag": first["e_tag"]})

    got = obstore.get(store, "updated", options={"if_match": second["e_tag"]})
    assert bytes(got.bytes()) == b"second"
    with pytest.raises(PreconditionError):
        obstore.get(store, "updated", options={"if_match": first["e_tag"]})


def test_an_upload_of_parts_is_one_object(store: S3Store) -> None:
    payload = os.urandom(17 * MIB + 5)

    with obstore.open_writer(store, "parts", buffer_size=5 * MIB) as writer:
        for start in range(0, len(payload), MIB):
            writer.write(payload[start : start + MIB])

    assert bytes(obstore.get(store, "parts").bytes()) == payload


def test_odd_keys_and_offsets_in_listings(store: S3Store) -> None:
    # The name stands under a folder here, and would be too long there.
    keys = sorted(f"odd/{key[:1000]}" for key in ODD_KEYS)
    for key in keys:
        obstore.put(store, key, key.encode())

    listed = [each["path"] for page in obstore.list(store, "odd") for each in page]
    after = [each["path"] for page in obstore.list(store, "odd", offset=keys[3]) for each in page]

    assert sorted(listed) == keys
    assert sorted(after) == keys[4:]
    assert all(bytes(obstore.get(store, key).bytes()) == key.encode() for key in keys)
    obstore.delete(store, keys)
    assert [page for page in obstore.list(store, "odd") if page] == []


def test_copies_and_renames_are_made_by_the_server(store: S3Store) -> None:
    obstore.put(store, "copied/from a", b"shared")

    obstore.copy(store, "copied/from a", "copied/b")
    obstore.rename(store, "copied/b", "copied/c")

    assert bytes(obstore.get(store, "copied/c").bytes()) == b"shared"
    with pytest.raises(FileNotFoundError):
        obstore.head(store, "copied/b")
    folded = obstore.list_with_delimiter(store)
    assert "copied" in folded["common_prefixes"]


def test_signed_requests_need_no_headers(store: S3Store) -> None:
    there = obstore.sign(store, "PUT", "signed key", timedelta(minutes=1))
    with urllib.request.urlopen(urllib.request.Request(there, data=b"for all", method="PUT")) as answer:
        assert answer.status == 200

    back = obstore.sign(store, "GET", "signed key", timedelta(minutes=1))
    with urllib.request.urlopen(back) as answer:
        assert answer.read() == b"for all"
