"""Switches of the deployment and what instances say of their requests: the last word counts."""

from functools import partial

from engine.clock import uuid7
from engine.metadata import instance_stats, processes, switches
from engine.metadata.store import Store


def test_a_switch_that_nobody_turned_is_not_there(store: Store) -> None:
    assert store.read(switches.find_read_only) is None
    assert store.look(switches.FIND, switches.READ_ONLY) == []


def test_a_switch_is_as_it_was_turned_last(store: Store) -> None:
    on = store.write(partial(switches.turn_read_only, is_on=True, reason="a move of disks", changed_by="ann"))
    (row,) = store.look(switches.FIND, switches.READ_ONLY)

    off = store.write(partial(switches.turn_read_only, is_on=False, reason="", changed_by="bob"))

    assert (on.is_on, on.reason, on.changed_by) == (True, "a move of disks", "ann")
    assert switches.read_switch(row) == on
    assert store.read(switches.find_read_only) == off
    assert (off.is_on, off.changed_by) == (False, "bob")


def test_an_instance_replaces_what_it_said_and_what_is_old_is_not_listed(store: Store) -> None:
    instance_id = uuid7()
    store.write(
        partial(
            processes.register,
            instance_id=instance_id,
            process_id=uuid7(),
            node="n",
            version="1",
            plane="controlplane",
            pid=1,
            generation=None,
        )
    )

    store.write(partial(instance_stats.put_stats, instance_id=instance_id, document=b"first"))
    store.write(partial(instance_stats.put_stats, instance_id=instance_id, document=b"second"))

    (row,) = store.read(partial(instance_stats.list_stats, age_max_s=60))
    assert (row.instance_id, row.document) == (instance_id, b"second")
    assert store.read(partial(instance_stats.list_stats, age_max_s=-60)) == []
