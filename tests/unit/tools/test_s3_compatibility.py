"""The compatibility page is what the tables say, and names every operation of S3."""

import botocore.session
import pytest

from dataplane.wire.amz_headers import check_amz_headers
from dataplane.wire.refusals import AccessControlListNotSupported, NotImplementedYet, WireError
from dataplane.wire.served_operations import SERVED
from tools.s3_compatibility import PAGE, page
from tools.s3_parameters import ONLY_DEFAULTS, PLAIN_HEADERS, Fate, parameters


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run tools/s3_compatibility.py"


def test_every_operation_of_the_model_stands_on_the_page() -> None:
    text = page()

    model = botocore.session.get_session().get_service_model("s3")
    assert [name for name in model.operation_names if f"| {name} |" not in text] == []


def test_every_parameter_of_a_served_operation_stands_on_the_page() -> None:
    text = page()

    model = botocore.session.get_session().get_service_model("s3")
    served = {each.name for each in SERVED} & set(model.operation_names)
    members = {
        (name, member)
        for name in served
        for member in getattr(model.operation_model(name).input_shape, "members", {})
    }
    assert [pair for pair in sorted(members) if f"| {pair[0]} | {pair[1]} |" not in text] == []
    assert {(each.operation.name, each.member) for each in parameters()} == members


def test_nothing_is_decided_that_no_operation_takes() -> None:
    headers = {each.wire_name.lower() for each in parameters() if each.place == "header"}

    assert PLAIN_HEADERS.keys() | ONLY_DEFAULTS <= headers


def test_what_the_page_says_is_refused_is_refused() -> None:
    """And what it says is read or harmless is not refused for its name."""
    for each in parameters():
        if each.place != "header":
            continue
        given = {each.wire_name.lower(): "x"}
        if each.operation.is_copy:
            given["x-amz-copy-source"] = "bucket/key"
        if each.fate is Fate.REFUSED:
            with pytest.raises(NotImplementedYet):
                check_amz_headers(each.operation, given, account="x")
        elif each.fate is Fate.NO_ACL:
            with pytest.raises(AccessControlListNotSupported):
                check_amz_headers(each.operation, given, account="x")
        elif each.fate is Fate.ONLY_DEFAULT and each.wire_name != "x-amz-storage-class":
            with pytest.raises(WireError):
                check_amz_headers(each.operation, given, account="x")
        else:
            check_amz_headers(each.operation, given, account="x")
