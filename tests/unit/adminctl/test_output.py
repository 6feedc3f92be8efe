"""What a server says cannot steer the terminal; sizes and times are for people; every code has an exit status."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from adminctl.client import resource_name
from adminctl.exit_status import BY_CODE, ExitStatus
from adminctl.output import how_long, print_fields, print_table, printable, size, when, word, yes_no


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 数", "plain, ünïcode, 数"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31mred", "\\x9b31mred"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\x00\x07", "\\x00\\x07"),
    ],
)
def test_control_characters_are_spelled_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_columns_line_up_and_cells_stay_in_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "SAYS"), [("near", "a\nb"), ("further", "")])

    assert capsys.readouterr().out == "NAME     SAYS\nnear     a\\nb\nfurther\n"


def test_an_empty_table_says_so_where_programs_do_not_look(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME",), [])

    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("NAME\n", "(none)\n")


def test_empty_fields_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields([("name", "near"), ("problem", ""), ("failure domain", "disk-1")])

    assert capsys.readouterr().out == "name            near\nfailure domain  disk-1\n"


@pytest.mark.parametrize(
    ("count_bytes", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2**60, "1048576.0 TiB"),
    ],
)
def test_sizes_are_shown_in_their_unit(count_bytes: int, shown: str) -> None:
    assert size(count_bytes) == shown


def test_times_are_utc_and_unset_ones_empty() -> None:
    assert when(Timestamp(seconds=1_700_000_000, nanos=999)) == "2023-11-14T22:13:20Z"
    assert when(Timestamp()) == ""


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (Duration(seconds=90), "90 s"),
        (Duration(seconds=2_592_000), "30 days"),
        (Duration(seconds=9000), "2.5 h"),
        (Duration(nanos=5_300_000), "5.3 ms"),
        (Duration(), ""),
    ],
)
def test_spans_are_shown_in_their_unit(span: Duration, shown: str) -> None:
    assert how_long(span) == shown


def test_words_of_enums_and_truth() -> None:
    assert word("BACKEND_STATE_READ_ONLY", "BACKEND_STATE_") == "read-only"
    assert (yes_no(True), yes_no(False)) == ("yes", "no")


def test_short_and_full_names_mean_the_same() -> None:
    assert resource_name("backends", "near") == resource_name("backends", "backends/near") == "backends/near"


@pytest.mark.parametrize("code", grpc.StatusCode, ids=lambda code: code.name)
def test_every_code_has_an_exit_status_and_only_ok_is_0(code: grpc.StatusCode) -> None:
    assert (BY_CODE[code.name] is ExitStatus.OK) == (code is grpc.StatusCode.OK)
