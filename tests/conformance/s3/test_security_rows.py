"""What was published about gateways and what this one is made of, row by row: the tests that hold it, or why none does.

The names are those of the publications. Rows about other planes (control API, web UI) have their tests there.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[2]
_DEFINED = re.compile(r"^ *def (test_\w+)\(", re.MULTILINE)

_S3 = "conformance/s3"
_AUTH = "unit/dataplane/auth"
_WIRE = "unit/dataplane/wire"

HELD: Mapping[str, tuple[str, ...]] = {
    # Gateways: signatures and identities.
    "CVE-2025-31489": (f"{_S3}/test_chunks.py::test_e15_a_forged_seed",),
    "CVE-2026-40344": (
        f"{_AUTH}/test_entrance.py::test_a49_a_wrong_secret_opens_nothing_in_any_form",
        f"{_S3}/test_signatures.py::test_a49_no_form_of_a_request_spares_the_signature",
        f"{_S3}/test_forms.py::test_a49_h06_the_signature_is_over_this_policy_by_this_key",
        f"{_WIRE}/test_routes.py::test_each_operation_takes_the_forms_of_signature_it_lists",
    ),
    "CVE-2026-41145": (
        f"{_S3}/test_security.py::test_cve_2026_41145_a_name_in_the_query_is_no_identity",
        f"{_AUTH}/test_presigned.py::test_a_credential_without_its_signature_names_nobody",
    ),
    "SeaweedFS 7912": (
        f"{_S3}/test_signatures.py::test_a01_a_stranger_is_denied",
        f"{_S3}/test_signatures.py::test_a49_no_form_of_a_request_spares_the_signature",
    ),
    "SeaweedFS 2180": (f"{_S3}/test_chunks.py::test_e15_a_reader_writes_nothing_in_any_form",),
    "SeaweedFS 8878": (
        f"{_S3}/test_security.py::test_a_digest_without_the_key_signs_no_url",
        f"{_AUTH}/test_header_signatures.py::test_a_digest_without_the_key_is_no_signature",
    ),
    "CVE-2021-21390": (
        f"{_S3}/test_security.py::test_cve_2021_21390_a_byte_of_the_third_chunk_is_altered",
        f"{_S3}/test_chunks.py::test_e01_a_bad_signature_on_any_chunk",
    ),
    "GHSA-xm99-m3gq-83g8": (
        f"{_S3}/test_security.py::test_ghsa_xm99_no_header_is_added_to_a_presigned_put",
        f"{_S3}/test_signatures.py::test_a26_every_amz_header_must_be_signed",
    ),
    "CVE-2026-55873": (
        "unit/engine/settings/test_meaning.py::test_an_identity_without_account_is_refused",
        f"{_AUTH}/test_role_matrix.py::test_what_no_row_allows_is_denied",
    ),
    "CVE-2026-33419": (
        f"{_AUTH}/test_signing_keys.py::test_the_cache_is_bounded_and_drops_what_was_used_longest_ago",
        "integration/engine/deployment/test_credentials.py::test_unknown_keys_are_not_remembered",
        "unit/dataplane/middleware/test_rate_limits.py::test_the_table_is_bounded_and_keeps_who_asks_most",
    ),
    # Gateways: forms.
    "CVE-2021-21362": (f"{_S3}/test_forms.py::test_who_only_reads_signs_no_upload",),
    "CVE-2023-28434, CVE-2023-43040": (
        f"{_S3}/test_forms.py::test_h03_every_condition_is_kept_and_every_field_covered",
        f"{_S3}/test_forms.py::test_h03_a_form_goes_to_the_bucket_of_its_address",
    ),
    "GHSA-w5fh-f8xh-5x3p": (
        f"{_S3}/test_forms.py::test_h02_a_policy_is_alive_and_well_formed",
        f"{_S3}/test_forms.py::test_h03_every_condition_is_kept_and_every_field_covered",
        f"{_S3}/test_forms.py::test_h04_sizes_are_kept_to_the_byte",
    ),
    "CVE-2021-3531, CVE-2018-1000538": (
        f"{_S3}/test_forms.py::test_h08_a_head_that_never_ends_is_refused_at_twenty_kibibytes",
        f"{_WIRE}/test_form_parts.py::test_floods_are_refused_within_the_bound",
        f"{_WIRE}/test_form_parts.py::test_a_thousand_parts_do_not_fit",
    ),
    # Gateways: names, copies, headers.
    "CVE-2026-34204": (f"{_S3}/test_security.py::test_cve_2026_34204_no_header_of_a_client_is_one_of_ours",),
    "CVE-2024-36107": (
        f"{_S3}/test_signatures.py::test_a01_a_stranger_learns_nothing_about_what_exists",
        "integration/dataplane/test_accounts.py::test_a_stranger_cannot_tell_what_is_there",
    ),
    "CVE-2026-54917, GHSA-8r6f-hmq2-28rg, CVE-2025-24961": (
        f"{_S3}/test_names.py::test_b09_dots_and_slashes_stay_in_their_bucket",
        f"{_AUTH}/test_entrance.py::test_a_bucket_list_is_held_against_the_bucket_that_storage_uses",
    ),
    "CVE-2026-55874": (f"{_S3}/test_objects.py::test_f08_sources_that_name_nothing",),
    "CVE-2023-28433": (f"{_S3}/test_names.py::test_b09_every_path_is_a_key_of_its_own",),
    "GHSA-mx42-j6wv-px98": (
        f"{_S3}/test_parts.py::test_nobody_copies_a_part_of_what_it_may_not_read",
        f"{_S3}/test_identities.py::test_a_copy_brings_nothing_in_from_outside_the_list",
    ),
    "CVE-2024-47866": (f"{_S3}/test_objects.py::test_f08_sources_that_name_nothing",),
    "CVE-2020-10753, CVE-2021-3524": (
        f"{_S3}/test_cross_origin.py::test_cve_2020_10753_what_is_exposed_breaks_no_header",
    ),
    "GHSA-x5xv-223c-8vm7": (f"{_S3}/test_cross_origin.py::test_ghsa_x5xv_without_rules_no_origin_is_let_in",),
    "GHSA-fc6g-2gcp-2qrq": (
        f"{_S3}/test_rates.py::test_g16_a_client_that_names_another_address_is_still_itself",
        f"{_S3}/test_http.py::test_g16_what_a_stranger_forwards_counts_nowhere",
    ),
    "CVE-2022-31028": (
        "chaos/test_slow_clients.py::test_g13_heads_that_drip_and_connections_that_say_nothing",
    ),
    "CVE-2022-47950, CVE-2025-27136": (
        f"{_S3}/test_bodies.py::test_d01_d02_documents_that_are_none",
        f"{_WIRE}/test_xml_in.py::test_what_is_no_document_is_malformed",
    ),
    "GHSA-v2ch-c8v8-fgr7": (
        f"{_S3}/test_http.py::test_chunks_of_http_carry_a_body",
        f"{_S3}/test_bodies.py::test_c01_chunks_of_http_tell_no_length_either",
    ),
    # Gateways: what is told.
    "CVE-2018-16889, GHSA-r54g": (
        f"{_S3}/test_security.py::test_cve_2018_16889_no_log_holds_secrets_or_signatures",
    ),
    "CVE-2023-28432": (
        f"{_S3}/test_security.py::test_cve_2023_28432_no_answer_to_a_stranger_holds_a_secret",
    ),
    "GHSA-xrrf-67jm-3c2r": (
        "integration/engine/objects/test_put_get.py::test_sealed_bytes_are_nowhere_in_the_clear",
        "unit/engine/sealing/test_envelope.py::test_the_same_plaintext_is_never_sealed_alike",
    ),
    "CVE-2025-68926": (
        "unit/engine/settings/test_load.py::test_default_short_and_monotonous_secrets_are_refused_and_not_repeated",
    ),
    # What the data plane is made of.
    "gunicorn: framing": (
        f"{_S3}/test_http.py::test_g01_two_ways_to_tell_a_length",
        f"{_S3}/test_http.py::test_g02_other_transfer_codings",
        f"{_S3}/test_http.py::test_g03_chunks_that_are_none",
        f"{_S3}/test_http.py::test_g05_header_lines_that_are_none",
        f"{_S3}/test_behind_proxy.py::test_g01_g02_g05_no_framing_reaches_another_client",
    ),
    "gunicorn: a short body taken for whole": (f"{_S3}/test_bodies.py::test_c04_a_body_that_ends_early",),
    "gunicorn: unread bodies": (f"{_S3}/test_http.py::test_g10_an_early_answer_leaves_no_body_for_the_next",),
    "gunicorn: underscores and forwarded headers": (
        f"{_S3}/test_http.py::test_g15_an_underscore_never_stands_for_a_dash",
        f"{_S3}/test_security.py::test_an_underscored_date_is_no_date",
    ),
    "gunicorn, falcon: line breaks in answers": (
        f"{_S3}/test_objects.py::test_f15_overrides_hold_no_line_break",
        f"{_S3}/test_security.py::test_no_line_break_gets_into_a_header_by_a_form",
        f"{_WIRE}/test_headers.py::test_a_value_that_no_header_can_hold_never_leaves",
    ),
    "expat": (
        f"{_WIRE}/test_xml_in.py::test_a_large_token_takes_no_quadratic_time",
        f"{_WIRE}/test_xml_in.py::test_d4_a_body_past_its_cap_is_not_parsed",
    ),
    "werkzeug, python-multipart": (
        f"{_WIRE}/test_form_parts.py::test_floods_are_refused_within_the_bound",
        f"{_WIRE}/test_form_parts.py::test_a_name_put_into_many_places_is_bounded_too",
    ),
    "botocore: signed headers in logs": (
        f"{_S3}/test_security.py::test_cve_2018_16889_no_log_holds_secrets_or_signatures",
    ),
    "PyYAML, pickle": ("unit/dataplane/test_code_rules.py::test_nothing_runs_what_others_wrote",),
    # Rules of the code.
    "1 one way to an identity": (
        "unit/dataplane/test_code_rules.py::test_what_handlers_get_holds_no_secret",
        "unit/dataplane/test_code_rules.py::test_handlers_ask_for_no_credentials",
        f"{_AUTH}/test_entrance.py::test_a49_a_wrong_secret_opens_nothing_in_any_form",
    ),
    "2 what is not listed is denied": (
        f"{_WIRE}/test_routes.py::test_every_other_combination_is_refused_and_never_falls_through",
        f"{_AUTH}/test_role_matrix.py::test_every_served_operation_has_its_row",
    ),
    "3 authorised on what storage uses": (
        f"{_AUTH}/test_entrance.py::test_a_bucket_list_is_held_against_the_bucket_that_storage_uses",
        f"{_S3}/test_hosts.py::test_b13_the_path_under_a_buckets_host_is_a_key_and_never_another_bucket",
    ),
    "4 every x-amz header is signed": (
        f"{_S3}/test_signatures.py::test_a26_every_amz_header_must_be_signed",
        f"{_S3}/test_forms.py::test_headers_that_the_policy_does_not_cover_are_refused",
    ),
    "5 no names of ours among a client's": (
        f"{_S3}/test_security.py::test_cve_2026_34204_no_header_of_a_client_is_one_of_ours",
    ),
    "6 secrets do not show": (
        "unit/engine/settings/test_load.py::test_secrets_do_not_show",
        f"{_AUTH}/test_identity.py::test_a_credential_never_shows_its_secret",
    ),
    "7 no default or short secrets": (
        "unit/engine/settings/test_load.py::test_default_short_and_monotonous_secrets_are_refused_and_not_repeated",
    ),
    "8 compared in constant time": (
        "unit/dataplane/test_code_rules.py::test_signatures_are_compared_in_constant_time",
    ),
    "9 errors are typed and say nothing of the inside": (
        f"{_WIRE}/test_faults.py::test_what_happens_inside_stays_inside",
        f"{_S3}/test_random_requests.py::test_any_request_is_answered_by_rule",
    ),
    "10 strangers learn nothing of what exists": (
        f"{_S3}/test_signatures.py::test_a01_a_stranger_learns_nothing_about_what_exists",
        f"{_AUTH}/test_entrance.py::test_strangers_learn_nothing_of_what_is_built",
    ),
}

OPEN: Mapping[str, str] = {
    "CLDSRV-616": "Bucket policies are not built: nothing is open to strangers.",
    "CVE-2021-41137, CVE-2023-25812": "Policies that deny and object lock are not built.",
    "GHSA-f4vq-9ffr-m8m3": "Archives are not taken apart.",
    "urllib3: hostile backends": "No backend is reached over HTTP.",
}
"""Rows about what does not exist; whoever builds it holds them."""


def test_every_row_is_held_by_tests_that_are_there() -> None:
    missing = []
    for row, tests in HELD.items():
        for each in tests:
            file, _, name = each.partition("::")
            path = _TESTS / file
            if not path.is_file() or name not in _DEFINED.findall(path.read_text()):
                missing.append((row, each))

    assert missing == []
    assert all(HELD.values())
    assert set(HELD) & set(OPEN) == set()


@pytest.mark.parametrize("name", ["boto3.client", "urllib3", "requests.get", "http.client"])
def test_no_backend_is_reached_over_http(name: str) -> None:
    """Else the row about hostile backends is no longer open."""
    backends = Path(__file__).parents[3] / "engine" / "backends"

    assert "urllib3: hostile backends" in OPEN
    assert [file.name for file in backends.rglob("*.py") if name in file.read_text()] == []
