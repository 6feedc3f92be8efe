"""Every cell of the crash matrix that is about pieces on S3 backends names the tests that answer for it.

A cell is a step of a PUT (S0 to S8), or a row about what happens to pieces later, and a kind of failure. Each has a
test that runs over both metadata engines, or is of the stores alone, where no database takes part.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

_TESTS = Path(__file__).parents[2]

_OBJECTS = "integration/engine/objects"
_UPKEEP = "integration/engine/upkeep"
_METADATA = "conformance/metadata"
_S3 = "integration/engine/backends/s3"

CELLS: Mapping[str, tuple[str, ...]] = {
    "S1 kill": (
        f"{_UPKEEP}/test_intent_recovery.py::test_what_a_dead_instance_announced_is_deleted_and_forgotten",
        "chaos/test_s3_kills.py::test_kills_on_the_way_to_remote_stores_lose_and_leave_nothing",
    ),
    "S1 database down": (f"{_OBJECTS}/test_far_pieces.py::test_an_announcement_that_fails_asks_no_store",),
    "S1 ambiguous": (
        f"{_OBJECTS}/test_far_pieces.py::test_an_announcement_that_fails_asks_no_store",
        f"{_UPKEEP}/test_intent_recovery.py::test_what_nobody_renews_is_recovered_though_its_instance_lives",
    ),
    # SQLite alone has a disk; a full one is a database that refuses.
    "S1 full": (
        f"{_OBJECTS}/test_room.py::test_a_full_disk_under_the_database_refuses_writes_and_serves_reads",
        f"{_OBJECTS}/test_far_pieces.py::test_an_announcement_that_fails_asks_no_store",
    ),
    "S1 clock": (
        f"{_METADATA}/test_intents.py::test_an_intent_that_is_not_renewed_is_claimed_though_its_instance_lives",
        "integration/engine/deployment/test_postgres.py::test_a_clock_that_is_off_is_told_and_changes_no_time_that_is_stored",
        f"{_OBJECTS}/test_copies.py::test_an_intent_taken_by_recovery_ends_the_write_and_the_next_one_goes_well",
    ),
    "S1 partition": (
        f"{_METADATA}/test_intents.py::test_intents_of_a_living_instance_are_left_alone",
        f"{_UPKEEP}/test_intent_recovery.py::test_what_a_live_instance_holds_and_has_published_is_let_be",
        f"{_UPKEEP}/test_intent_recovery.py::test_a_recovery_that_lost_its_lease_forgets_no_intent",
        f"{_UPKEEP}/test_intent_recovery.py::test_a_writer_that_slept_through_its_recovery_leaves_nothing",
    ),
    "S2 kill": ("chaos/test_s3_kills.py::test_kills_on_the_way_to_remote_stores_lose_and_leave_nothing",),
    "S2 database down": (
        f"{_OBJECTS}/test_far_pieces.py::test_the_database_fails_at_any_write_of_a_put_and_no_unannounced_piece_is_written",
    ),
    "S2 corrupt": (
        f"{_OBJECTS}/test_digests.py::test_no_mismatch_is_visible_or_leaves_a_byte",
        f"{_OBJECTS}/test_digests.py::test_a_body_that_ends_early_leaves_no_byte_on_a_remote_store",
    ),
    "S3 kill": (
        f"{_UPKEEP}/test_intent_recovery.py::test_a_dead_writers_piece_that_lands_after_recovery_is_deleted_in_the_end",
        "chaos/test_s3_kills.py::test_kills_on_the_way_to_remote_stores_lose_and_leave_nothing",
    ),
    "S3 database down": (
        f"{_OBJECTS}/test_far_pieces.py::test_the_database_fails_at_any_write_of_a_put_and_no_unannounced_piece_is_written",
    ),
    "S3 backend fails": (
        f"{_OBJECTS}/test_copies.py::test_a_third_backend_takes_the_piece_of_one_that_fails",
        f"{_OBJECTS}/test_copies.py::test_below_the_quorum_nothing_is_visible_and_nothing_stays",
        "chaos/test_nth_failures.py::test_one_remote_store_that_fails_costs_the_client_nothing",
        "chaos/test_nth_failures.py::test_the_nth_call_to_every_remote_store_fails",
        "integration/engine/deployment/test_far_store_in_trouble.py::test_reads_are_whole_and_writes_go_on",
    ),
    "S3 ambiguous": (
        f"{_OBJECTS}/test_copies.py::test_a_write_that_lands_after_its_request_is_deleted_then_and_not_before",
        f"{_UPKEEP}/test_intent_recovery.py::test_a_piece_that_a_living_writer_gave_up_and_that_lands_late_is_deleted_in_the_end",
    ),
    "S3 full": (
        f"{_OBJECTS}/test_room.py::test_a_remote_store_that_is_full_is_asked_once_for_a_blob",
        f"{_S3}/test_trouble.py::test_a_refused_write_is_told_as_what_it_is",
    ),
    "S3 corrupt": (
        f"{_S3}/test_lies.py::test_a_write_that_is_lied_about_is_none_or_shows_at_its_reading",
        f"{_OBJECTS}/test_copies.py::test_a_piece_that_cannot_be_read_back_is_made_anew_elsewhere",
    ),
    "S3 partition": (
        f"{_METADATA}/test_intents.py::test_a_storage_key_is_announced_once",
        f"{_METADATA}/test_publish.py::test_a_storage_key_is_used_once_ever",
    ),
    "S5 kill": ("chaos/test_s3_kills.py::test_kills_on_the_way_to_remote_stores_lose_and_leave_nothing",),
    "S5 database down": (
        f"{_OBJECTS}/test_far_pieces.py::test_the_database_fails_at_any_write_of_a_put_and_no_unannounced_piece_is_written",
    ),
    "S5 ambiguous": (
        f"{_OBJECTS}/test_far_pieces.py::test_the_database_fails_at_any_write_of_a_put_and_no_unannounced_piece_is_written",
        f"{_UPKEEP}/test_intent_recovery.py::test_a_writer_that_never_learned_of_its_commit_gives_up_nothing_that_was_published",
        "integration/engine/metadata/postgres/test_store.py::test_a_commit_whose_answer_was_lost_is_found",
    ),
    "S5 full": (
        f"{_OBJECTS}/test_room.py::test_a_full_disk_under_the_database_refuses_writes_and_serves_reads",
        f"{_OBJECTS}/test_far_pieces.py::test_the_database_fails_at_any_write_of_a_put_and_no_unannounced_piece_is_written",
    ),
    "S5 clock": (
        f"{_METADATA}/test_publish.py::test_versions_are_ordered_by_their_sequence_not_by_the_clock",
        "chaos/test_linearizable.py::test_clocks_an_hour_apart_change_no_order",
    ),
    "S5 partition": (
        f"{_OBJECTS}/test_interleavings.py::test_the_put_that_commits_last_wins",
        f"{_METADATA}/test_interleaved.py::test_put_and_put_of_one_key_leave_the_later_one_current",
        f"{_METADATA}/test_interleaved_upkeep.py::test_publish_and_recovery_of_its_intent",
    ),
    "S6 kill": (f"{_UPKEEP}/test_cleanup.py::test_a_death_at_any_deletion_is_made_up_for",),
    "S6 database down": (f"{_UPKEEP}/test_cleanup.py::test_an_interruption_at_any_write_is_made_up_for",),
    "S6 backend fails": (
        f"{_UPKEEP}/test_cleanup.py::test_the_tenth_failure_buries_a_key_and_keeps_its_bytes_counted",
        f"{_UPKEEP}/test_cleanup.py::test_a_down_backend_does_not_stop_the_rest",
    ),
    "S6 ambiguous": (
        f"{_UPKEEP}/test_cleanup.py::test_a_deletion_of_unknown_outcome_is_repeated",
        f"{_S3}/test_trouble.py::test_a_delete_of_what_is_not_there_is_done",
    ),
    "S6 corrupt": (
        f"{_UPKEEP}/test_cleanup.py::test_a_record_that_is_not_ours_is_left_alone_and_told",
        "conformance/backends/test_contract.py::test_a_delete_leaves_the_neighbours_alone",
    ),
    "S6 clock": (f"{_METADATA}/test_cleanup.py::test_a_row_is_due_only_after_its_grace",),
    "S6 partition": (
        f"{_OBJECTS}/test_far_pieces.py::test_a_displaced_piece_is_read_to_its_end_and_goes_after_its_grace",
        f"{_METADATA}/test_cleanup.py::test_two_processes_never_get_the_same_row",
    ),
    "S7 kill": ("chaos/test_s3_kills.py::test_kills_on_the_way_to_remote_stores_lose_and_leave_nothing",),
    "S7 ambiguous": (
        f"{_METADATA}/test_publish.py::test_if_none_match_refuses_a_key_that_is_there",
        f"{_METADATA}/test_complete.py::test_the_same_list_again_answers_the_same_also_after_the_key_was_overwritten",
    ),
    "S7 partition": (
        f"{_METADATA}/test_looks.py::test_a_look_sees_what_another_process_committed",
        "chaos/test_linearizable.py::test_one_register_a_key_over_two_instances_of_two_processes",
    ),
    "S8 kill": (
        f"{_METADATA}/test_outbox.py::test_a_write_and_its_event_stand_or_fall_together",
        "integration/system/test_notifications.py::test_nothing_is_lost_while_the_receiver_fails_and_the_notifier_is_killed",
    ),
    "S8 backend fails": (
        f"{_METADATA}/test_outbox.py::test_a_failure_is_tried_again_later_and_given_up_in_the_end",
    ),
    "S8 ambiguous": (
        f"{_METADATA}/test_outbox.py::test_a_failure_is_tried_again_later_and_given_up_in_the_end",
        "integration/system/test_notifications.py::test_nothing_is_lost_while_the_receiver_fails_and_the_notifier_is_killed",
    ),
    "S8 clock": (f"{_METADATA}/test_outbox.py::test_a_write_and_its_event_stand_or_fall_together",),
    "replicator corrupt source": (
        f"{_UPKEEP}/test_replication.py::test_a_corrupt_source_is_never_copied_from",
    ),
    "replicator kill": ("chaos/test_nth_repairs.py::test_the_process_dies_at_the_nth_commit",),
    "replicator backend fails": ("chaos/test_nth_repairs.py::test_the_nth_call_to_a_remote_store_fails",),
    "replicator two leaders": (
        f"{_UPKEEP}/test_replication.py::test_a_replicator_that_lost_its_lease_names_nothing",
        f"{_METADATA}/test_redundancy.py::test_two_that_heal_one_blob_end_with_one_copy_more",
    ),
    "trim kill": ("chaos/test_nth_repairs.py::test_the_process_dies_at_the_nth_commit",),
    "trim two at once": (
        f"{_METADATA}/test_redundancy.py::test_two_that_trim_one_blob_never_go_below_its_scheme",
    ),
    "trim corrupt copy": (
        f"{_UPKEEP}/test_replication.py::test_a_corrupt_copy_is_what_goes_when_there_are_too_many",
        f"{_UPKEEP}/test_replication.py::test_with_all_but_one_corrupt_no_copy_goes",
    ),
    "delete kill": (
        "chaos/test_nth_failures.py::test_the_way_to_the_database_server_is_cut_at_the_nth_message",
        f"{_UPKEEP}/test_reaping.py::test_an_interruption_at_any_write_is_made_up_for",
    ),
    "delete backend fails": (
        f"{_OBJECTS}/test_far_pieces.py::"
        "test_a_delete_goes_well_with_every_store_down_and_nothing_that_lands_late_brings_it_back",
    ),
    "delete late landing": (
        f"{_OBJECTS}/test_far_pieces.py::"
        "test_a_delete_goes_well_with_every_store_down_and_nothing_that_lands_late_brings_it_back",
    ),
    "delete beside replicator": (
        f"{_UPKEEP}/test_replication.py::test_an_object_that_is_deleted_while_it_is_copied_stays_deleted",
    ),
    "overwrite kill": (
        f"{_OBJECTS}/test_far_pieces.py::test_the_database_fails_at_any_write_of_a_put_and_no_unannounced_piece_is_written",
        "chaos/test_s3_kills.py::test_kills_on_the_way_to_remote_stores_lose_and_leave_nothing",
    ),
    "overwrite readers": (
        f"{_OBJECTS}/test_far_pieces.py::test_overwrites_are_never_missed_and_never_mixed",
        f"{_OBJECTS}/test_far_pieces.py::test_a_displaced_piece_is_read_to_its_end_and_goes_after_its_grace",
    ),
}

ELSEWHERE: Mapping[str, str] = {
    "S0": "Before anything is known of pieces: the rows of bad input and outages answer for it.",
    "S2 full": "Bodies are spooled nowhere: what is held in memory is admitted beforehand.",
    "S3'": "Erasure coding is not built.",
    "S4": "Files of volumes.",
    "S5 corrupt": "Pages of the database: integration/engine/deployment/test_database_check.py.",
    "S8 full": "The audit trail is rows of the database.",
    "rebuild": "Rebuilding from backends is not built.",
}
"""Cells that are about something else."""

_BOTH_ENGINES = (f"{_METADATA}/", f"{_OBJECTS}/", f"{_UPKEEP}/")
"""Folders whose every test runs over both engines."""

_OF_STORES_ALONE = (_S3, "conformance/backends/")


@pytest.mark.parametrize("cell", CELLS)
def test_the_tests_of_a_cell_are_there(cell: str) -> None:
    missing = [
        each
        for each in CELLS[cell]
        if not re.search(rf"^def {each.partition('::')[2]}\(", _text_of(each), re.MULTILINE)
    ]

    assert missing == []


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_answered_for_over_both_engines(cell: str) -> None:
    over_both = [
        each
        for each in CELLS[cell]
        if each.startswith((*_BOTH_ENGINES, *_OF_STORES_ALONE))
        or "on_each_engine(" in _text_of(each)
        or '["sqlite", "postgres"]' in _text_of(each)
    ]

    assert over_both != []


def test_every_step_of_a_put_has_its_cells() -> None:
    steps = {cell.split()[0] for cell in (*CELLS, *ELSEWHERE)}

    assert {f"S{number}" for number in range(9)} <= steps
    assert set(CELLS) & set(ELSEWHERE) == set()


def _text_of(test: str) -> str:
    return (_TESTS / test.partition("::")[0]).read_text()
