"""Every kind of long work is started by an rpc that answers its operation, and every such rpc has one."""

import pytest
from google.protobuf.descriptor import MethodDescriptor

from controlplane.methods import SERVICES
from controlplane.operations.kinds import KINDS, OperationKind, by_method
from engine.metadata.operations import TRIGGER_METHOD
from engine.settings.running import MovementSettings, WorkersSettings

OF_OPERATIONS = "penstock.admin.v1.OperationService"


def full_name(method: MethodDescriptor) -> str:
    return f"{method.containing_service.full_name}/{method.name}"


STARTING = {
    full_name(method)
    for service in SERVICES
    if service.full_name != OF_OPERATIONS
    for method in service.methods
    if "operation" in method.output_type.fields_by_name
}


def test_every_rpc_that_answers_an_operation_has_a_kind_and_every_kind_an_rpc() -> None:
    assert by_method(KINDS).keys() == STARTING - {TRIGGER_METHOD}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.method.rpartition("/")[2])
def test_a_rate_that_a_kind_shares_can_be_set(kind: OperationKind) -> None:
    if kind.rate_of is not None:
        assert isinstance(getattr(WorkersSettings(), kind.rate_of), MovementSettings)


def test_two_kinds_of_one_method_are_refused() -> None:
    with pytest.raises(ValueError, match="one method"):
        by_method([KINDS[0], KINDS[0]])
