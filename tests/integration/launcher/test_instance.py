"""The planes of one `serve` share an instance id, and those of another one have another."""

import json
import os
import sys
import time
import uuid
from pathlib import Path

from engine.deployment import opening
from launcher.children import Child, ChildSpec
from launcher.serve import INSTANCE_ID, plane_specs

CONFIG = Path("penstock.yaml")


def test_both_planes_have_the_same_instance_id() -> None:
    dataplane, controlplane = plane_specs(CONFIG, ("dataplane", "controlplane"))

    assert dataplane.environ[INSTANCE_ID] == controlplane.environ[INSTANCE_ID]


def test_each_serve_is_an_instance_of_its_own_and_ids_tell_when_it_began() -> None:
    before_ms = time.time_ns() // 1_000_000

    (first,) = plane_specs(CONFIG, ("dataplane",))
    (second,) = plane_specs(CONFIG, ("dataplane",))

    assert first.environ != second.environ
    text = first.environ[INSTANCE_ID]
    assert len(text) == 32
    value = uuid.UUID(hex=text)
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert before_ms <= value.int >> 80 <= time.time_ns() // 1_000_000


def test_a_child_gets_what_its_place_adds_beside_its_parents_environment(tmp_path: Path) -> None:
    told = tmp_path / "environment"
    program = f"import json, os; json.dump(dict(os.environ), open({str(told)!r}, 'w'))"
    spec = ChildSpec(
        name="child",
        command=[sys.executable, "-c", program],
        stop_timeout_s=1.0,
        environ={INSTANCE_ID: "ab" * 16},
    )

    child = Child(spec)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    child.clear()

    environ = json.loads(told.read_text())
    assert environ[INSTANCE_ID] == "ab" * 16
    assert environ["PATH"] == os.environ["PATH"]
    assert INSTANCE_ID not in os.environ


def test_the_name_is_the_one_that_the_engine_reads() -> None:
    assert INSTANCE_ID == opening.INSTANCE_ID
