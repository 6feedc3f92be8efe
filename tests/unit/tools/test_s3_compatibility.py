"""The compatibility page is what the tables say, and names every operation of S3."""

import botocore.session

from tools.s3_compatibility import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run tools/s3_compatibility.py"


def test_every_operation_of_the_model_stands_on_the_page() -> None:
    text = page()

    model = botocore.session.get_session().get_service_model("s3")
    assert [name for name in model.operation_names if f"| {name} |" not in text] == []
