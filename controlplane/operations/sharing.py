"""How many processes move bytes under one budget: a rate is the whole deployment's, and they divide it."""

from collections import defaultdict
from collections.abc import Mapping

from controlplane.operations.kinds import OperationKind
from engine.metadata import leases, operation_runs
from engine.metadata.store import Tx


def count_sharers(tx: Tx, kinds: Mapping[str, OperationKind]) -> Mapping[str, int]:
    """Processes that lead, for each budget that anybody leads anything of: its worker, or operations that share it."""
    methods = {each.name: each.method for each in operation_runs.list_open(tx)}
    holders: defaultdict[str, set[bytes]] = defaultdict(set)
    for led, holder in leases.list_held(tx):
        method = methods.get(led)
        kind = None if method is None else kinds.get(method)
        name = led if kind is None else kind.rate_of
        if name is not None:
            holders[name].add(holder)
    return {name: len(found) for name, found in holders.items()}
