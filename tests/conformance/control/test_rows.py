"""Rows H10 to H15 and H22 to H25 of bad input: each names the tests that answer for it, or why it is open."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]

ROWS: Mapping[str, tuple[str, ...]] = {
    # no token, bad, S3 key, viewer on write, expired
    "h10": (
        "integration/controlplane/test_guard.py::test_without_a_token_nobody_gets_in",
        "integration/controlplane/test_guard.py::test_anything_but_one_whole_token_is_a_stranger",
        "integration/controlplane/test_guard.py::test_a_role_may_what_it_is_for_and_nothing_above",
        "integration/controlplane/test_tokens.py::test_an_expired_token_is_a_strangers",
        "conformance/control/test_abuse.py::test_h10_keys_of_s3_clients_open_nothing",
    ),
    # message of 64 MiB, metadata of 1 MiB, a million items, deep Any and Struct
    "h12": (
        "integration/controlplane/test_guard.py::test_a_message_over_the_limit_is_refused",
        "integration/controlplane/test_guard.py::test_metadata_over_the_limit_is_refused",
        "conformance/control/test_abuse.py::test_h12_a_million_items_are_refused_or_answered",
        "conformance/control/test_abuse.py::test_h12_any_and_struct_nest_without_end_to_no_harm",
        "conformance/control/test_abuse.py::test_h12_fuzzed_bytes_are_refused_and_the_process_lives",
        "integration/controlplane/test_guard.py::test_a_message_that_nests_without_end_is_refused",
    ),
    # reflection without auth
    "h13": ("integration/controlplane/test_guard.py::test_reflection_is_not_for_the_network",),
    # draining the last backend, removing one that holds data, more copies than domains (keys do not rotate yet)
    "h15": (
        "integration/controlplane/test_backends.py::test_the_last_of_several_is_not_drained_either",
        "integration/controlplane/test_backends.py::test_only_a_drained_backend_is_removed_and_only_by_its_name",
        "unit/engine/settings/test_meaning.py::test_a_bucket_asks_for_no_more_copies_than_there_are_domains",
        "unit/engine/settings/test_meaning.py::test_volumes_on_one_disk_are_one_failure_domain",
    ),
    # request ids that clients choose
    "h22": (
        "conformance/control/test_abuse.py::test_h22_a_callers_own_request_id_that_is_long_or_odd_is_ignored",
        "conformance/s3/test_request_ids.py::test_h22_a_clients_own_request_id_is_ignored",
    ),
    # label explosion
    "h23": ("conformance/s3/test_request_ids.py::test_h23_names_that_clients_choose_make_no_series",),
    # cells that a spreadsheet takes for formulas
    "h24": (
        "unit/adminctl/test_messages.py::test_no_cell_is_a_formula",
        "conformance/control/test_abuse.py::test_h24_log_lines_and_names_do_not_steer_a_terminal",
    ),
    # configuration: python objects, expansion, duplicates, key file
    "h25": (
        "unit/engine/settings/test_source.py::test_a_python_object_is_refused_and_nothing_is_made_of_it",
        "unit/engine/settings/test_source.py::test_a_key_that_stands_twice_is_refused_with_both_lines",
        "unit/engine/settings/test_references.py::test_what_comes_out_is_not_expanded_again",
        "unit/engine/settings/test_load.py::test_a_key_file_that_others_may_read_is_refused_with_its_line",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_the_tests_of_a_row_are_there(row: str) -> None:
    missing = [
        each
        for each in ROWS[row]
        if f"def {each.partition('::')[2]}(" not in (TESTS / each.partition("::")[0]).read_text()
    ]

    assert missing == []


def test_numbered_tests_of_this_folder_are_named_by_their_rows() -> None:
    numbered = {
        (found[1], found[0])
        for file in Path(__file__).parent.glob("test_*.py")
        for found in re.findall(r"^def (test_(h[0-9]{2})_[a-z0-9_]+)", file.read_text(), re.MULTILINE)
    }

    assert {
        row for row, name in numbered if not any(each.endswith(f"::{name}") for each in ROWS.get(row, ()))
    } == set()
