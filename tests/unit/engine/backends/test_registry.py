"""A registry makes each kind of backend at its place and finds it again."""

from pathlib import Path

import pytest

from engine.backends.memory import MemoryBackend
from engine.backends.registry import Backends, MemoryPlace, Place, VolumePlace, make_backend
from engine.backends.volume.backend import VolumeBackend
from engine.backends.volume.descriptors import DescriptorCache
from engine.errors import BackendUnavailable
from engine.names import BackendName
from engine.records import BackendRow, BackendState
from tests.support.s3_stores import no_key_mac
from tests.support.volumes import MemoryLedger


def row(backend_id: int, name: str) -> BackendRow:
    return BackendRow(
        backend_id=backend_id,
        name=BackendName(name),
        kind="volume",
        node="node-1",
        failure_domain=name,
        identity_id=b"backend--------1",
        is_registered=True,
        state=BackendState.ACTIVE,
    )


def make(backend_id: int, name: str, place: Place) -> VolumeBackend | MemoryBackend:
    made = make_backend(
        row(backend_id, name),
        place,
        deployment_id=b"deployment-----1",
        ledger=MemoryLedger(),
        descriptors=DescriptorCache(),
        mac=no_key_mac,
    )
    assert isinstance(made, VolumeBackend | MemoryBackend)
    return made


def test_each_kind_of_place_makes_its_kind_of_backend() -> None:
    # Nothing is opened: the directory need not be there.
    near = make(1, "near", VolumePlace(path=Path("/nowhere")))
    far = make(2, "far", MemoryPlace(capacity_bytes=10))

    assert (type(near), near.needs_intents) == (VolumeBackend, False)
    assert (type(far), far.needs_intents) == (MemoryBackend, True)


def test_backends_are_found_by_id_and_name() -> None:
    near, far = make(1, "near", MemoryPlace()), make(2, "far", MemoryPlace())
    backends = Backends([near, far])

    assert (len(backends), list(backends)) == (2, [near, far])
    assert backends.get(2) is far
    assert backends.find(BackendName("near")) is near
    assert backends.find(BackendName("elsewhere")) is None


def test_a_backend_that_is_not_configured_is_unavailable() -> None:
    with pytest.raises(BackendUnavailable):
        Backends([]).get(7)
